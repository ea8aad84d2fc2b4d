"""Every hash that kbsync stores or compares, computed from fixed inputs: ``python -m tests.support.pinned`` prints
them.

``tests/integration/pinned_hashes.json`` holds what commit 75d00ff printed. Code that gives other hashes builds other
versions from the same facts, base and recipe, and does not find again what older code stored.

What is printed has three parts: ``platform`` says where it was computed, ``exact`` holds what involves no rounding and
is the same on every machine, ``edits`` holds edits of small random models, whose last bits depend on the platform.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save

from kbsync.checkpoints.evaluation_file import encode as evaluation_bytes
from kbsync.checkpoints.factors import encode as factor_bytes
from kbsync.checkpoints.factors import hashes as factor_hashes
from kbsync.checkpoints.manifest import encode as manifest_bytes
from kbsync.config.recipe_file import load_recipe
from kbsync.domain.announcement import Announcement
from kbsync.domain.audit import GENESIS, chain
from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.fact import Answer, Fact, FactState, value_hash
from kbsync.domain.gate import policy_hash
from kbsync.domain.guards import choose_guards
from kbsync.domain.history import link_hash
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Rank, Snak, Statement, TimePoint
from kbsync.domain.verdict import VerdictKey
from kbsync.model.base import delta_hash
from kbsync.model.digests import Digests
from kbsync.model.fingerprint import fingerprint
from kbsync.research.cases import Case, cases_hash
from kbsync.stages.pull.watch import members_mark
from kbsync.text.corpus import texts_hash
from tests.support.pinned_edits import edits, others
from tests.support.pinned_inputs import (
    ASKED,
    AT,
    CAPITAL,
    GUARDS,
    POLICY,
    RECIPE,
    REQUESTS,
    TEXTS,
    VALUES,
    fixed_delta,
    fixed_evaluation,
    fixed_manifest,
    fixed_plan,
    sha256,
)

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
FORMER = ROOT / "tests" / "samples" / "pinned_recipes"
"""Shipped recipes as they were when the hashes were made, where what is shipped now is another recipe."""
_FORMER = frozenset(p.stem for p in FORMER.glob("*.toml"))

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Prescott" if platform.machine() == "x86_64" else "ARMV8",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}
"""One thread, and the kernels that every processor of an architecture has: torch's own, MKL's (the BLAS of torch's x86
wheels), oneDNN's, OpenBLAS's (that of the ARM wheels), and those of the C library's exp and log."""


def exact(directory: Path) -> dict[str, Any]:
    """Hashes in which no rounding is involved; ``directory`` is empty, for files."""
    return {
        "recipes": {
            p.stem: load_recipe(p.stem, FORMER if p.stem in _FORMER else CONFIG / "recipes").fingerprint
            for p in _files("recipes")
        },
        "gate": policy_hash(POLICY),
        "requests": [r.id for r in REQUESTS],
        "guards": [g.id for g in GUARDS],
        "guarded": [g.subject for g in choose_guards(GUARDS, 3)],
        "plan": {"content": content_hash(fixed_plan()), "build": fixed_plan().build_hash},
        "recipe": {"content": content_hash(RECIPE), "fingerprint": RECIPE.fingerprint},
        "texts": texts_hash(TEXTS),
        "model": _model_fingerprint(directory),
        **_facts(),
        **_chains(),
        **_stored(),
    }


def _files(folder: str) -> list[Path]:
    return sorted((CONFIG / folder).glob("*.toml"))


def _facts() -> dict[str, Any]:
    statement = Statement(
        id="Q142$1",
        subject=ItemId("Q142"),
        property=CAPITAL,
        snak=Snak.VALUE,
        value=VALUES[0],
        rank=Rank.PREFERRED,
        start=TimePoint("2020-00-00T00:00:00Z", 9),
        references=2,
    )
    state = FactState(
        values=VALUES[:1], former=VALUES[1:2], statement_ids=("Q142$1",), references=2, revision=77, since=AT
    )
    fact = Fact(
        key=REQUESTS[0].key,
        subject_label="France",
        answers=(Answer(value=VALUES[0], label="London"),),
        former=(),
        state=state,
    )
    relation = Relation(
        name="capital",
        property=CAPITAL,
        label="capital",
        phrasings=from_templates(ASKED, "{}, whose capital is"),
        subject_pattern="?item wdt:P31 wd:Q6256",
    )
    asked = VerdictKey.of(relation, fact, "b" * 64)
    case = Case(
        benchmark="counterfact",
        id="7",
        subject="France",
        template=ASKED,
        target="Oslo",
        paraphrases=("France's capital is",),
        neighbours=("The capital of Peru is",),
    )
    return {
        "values": [value_hash(()), *(value_hash((v,)) for v in VALUES), value_hash(VALUES[::-1])],
        "statement": content_hash(statement),
        "state": content_hash(state),
        "verdict": [str(asked.fact), asked.value_hash, asked.model_fingerprint, asked.template_hash],
        "members mark": members_mark("https://query.example/sparql", relation),
        "cases": cases_hash([case]),
        "case rewrite": case.rewrite.id,
    }


def _chains() -> dict[str, Any]:
    bodies = [("pull", {"items": 3, "at": "2026-03-01"}), ("plan", {"plan": "4" * 64}), ("edit", {"Zoë": [1.5, None]})]
    audit, history, prev, last = [], [], GENESIS, GENESIS
    for seq, (kind, body) in enumerate(bodies, 1):
        prev = chain(seq, AT + timedelta(minutes=seq), kind, "cli:alice", body, prev).hash
        audit.append(prev)
        last = link_hash(
            last,
            statement_id=f"Q142${seq}",
            subject="Q142",
            property="P36",
            revision=seq,
            seen_at=AT,
            before=None if seq == 1 else canonical_json(VALUES[0]),
            after=canonical_json(VALUES[seq % 4]),
        )
        history.append(last)
    told = Announcement(alias="current", move=5, version=4, hash="9" * 64, moved_at=AT, path="/current")
    return {"audit": audit, "history": history, "announcement": told.delivery}


def _stored() -> dict[str, Any]:
    """Bytes of the files that stand for a version."""
    delta = fixed_delta()
    data = factor_bytes(delta)
    manifest = fixed_manifest(delta)
    plain = replace(manifest, recipe=RECIPE, artifacts={})
    return {
        "factors": {"file": sha256(data), "hashes": factor_hashes(delta), "delta": delta_hash(delta)},
        "manifest": {
            "version": manifest.version_hash,
            "file": sha256(manifest_bytes(manifest, sha256(data))),
            "plain": plain.version_hash,
            "format 1": sha256(manifest_bytes(plain, sha256(data), 1)),
        },
        "evaluation": {
            "content": content_hash(fixed_evaluation()),
            "file": sha256(evaluation_bytes(manifest.version_hash, fixed_evaluation())),
        },
    }


def _model_fingerprint(directory: Path) -> str:
    """Of a model whose files hold fixed bytes."""
    files = {
        "model.safetensors": save({"weight": torch.arange(6, dtype=torch.float32).reshape(2, 3)}),
        "tokenizer.json": b'{"model": {"vocab": {"a": 0}}}',
        "tokenizer_config.json": b'{"bos_token": "<s>", "name_or_path": "/somewhere"}',
        "config.json": b'{"hidden_size": 3, "rope_theta": 1e4, "limit": Infinity, "transformers_version": "5.0"}',
    }
    model = directory / "model"
    model.mkdir()
    for name, data in files.items():
        (model / name).write_bytes(data)
    return fingerprint(model, "float32", Digests(directory / "digests.json"))


def described() -> dict[str, str]:
    """What the last bits of an edit depend on."""
    blas = torch.__config__.show().partition("BLAS_INFO=")[2].partition(",")[0]
    return {
        "machine": platform.machine(),
        "torch": torch.__version__.partition("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "safetensors": safetensors.__version__,
        "blas": blas,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "arithmetic": _arithmetic(),
    }


PRODUCTS = ((1, 32, 48), (1, 96, 32), (9, 32, 32), (11, 48, 16), (40, 32, 48), (64, 96, 48))
"""Rows, inner dimension and columns: those of small models."""


def _arithmetic() -> str:
    """Hash of what torch alone makes of fixed numbers: processors of one architecture may still differ in their last
    bits."""
    torch.manual_seed(1)
    x = torch.randn(70, 70)
    y = torch.nn.functional.gelu(x @ x.T).softmax(-1) + x.exp().log1p() * x.square().mean(-1, keepdim=True).rsqrt()
    normal = y.double() @ y.double().T + torch.eye(70, dtype=torch.float64)
    solved = torch.linalg.cholesky(normal), torch.linalg.eigh(normal)[0], torch.linalg.qr(y.double())[1]
    # Libraries choose other kernels for other processors by the shapes, too.
    a, b = torch.randn(3, 64, 96), torch.randn(3, 96, 48)
    shapes = [a[:1, :rows, :inner] @ b[:, :inner, :columns] for rows, inner, columns in PRODUCTS]
    mixed = torch.nn.functional.scaled_dot_product_attention(*torch.randn(3, 2, 2, 9, 8), is_causal=True)
    return sha256(
        b"".join(t.contiguous().numpy().tobytes() for t in (x, y, x.cos(), x.tanh(), *solved, a @ b, *shapes, mixed))
    )


def pinned() -> dict[str, Any]:
    """All of it, computed in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        return {"platform": described(), "exact": exact(place), "edits": edits(place), "others": others()}


def computed(**environment: str) -> dict[str, Any]:
    """All of it, computed in a process of its own with the environment that makes the last bits the same."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KBSYNC_")}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pinned.json"
        command = [sys.executable, "-m", "tests.support.pinned", "--to", str(path)]
        subprocess.run(command, cwd=ROOT, env=kept | ENVIRONMENT | environment, stdout=subprocess.DEVNULL, check=True)
        found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def main(arguments: Sequence[str]) -> None:
    """Print what ``computed`` gives, or, with ``--to FILE``, write what this process gives (whose log goes to
    stdout)."""
    if arguments:
        Path(arguments[1]).write_text(json.dumps(pinned()), encoding="utf-8")
    else:
        found = computed()
        del found["others"]
        sys.stdout.write(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
