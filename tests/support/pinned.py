"""Every hash that kbsync stores or compares, computed from fixed inputs: ``python -m tests.support.pinned`` prints them.

``tests/integration/pinned_hashes.json`` holds what commit 75d00ff printed. Code that gives other hashes builds other
versions from the same facts, base and recipe, and does not find again what older code stored.

What is printed has three parts: ``platform`` says where it was computed, ``exact`` holds what involves no rounding and is
the same on every machine, ``edits`` holds edits of small random models, whose last bits depend on the platform.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save
from transformers import PreTrainedModel

from kbsync.checkpoints.evaluation_file import encode as evaluation_bytes
from kbsync.checkpoints.factors import encode as factor_bytes
from kbsync.checkpoints.factors import hashes as factor_hashes
from kbsync.checkpoints.manifest import encode as manifest_bytes
from kbsync.checkpoints.recording_store import RecordingEditor
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.config.files import load_recipe, load_relations
from kbsync.config.gate import GateSettings
from kbsync.config.loading import load
from kbsync.domain.announcement import Announcement
from kbsync.domain.audit import GENESIS, chain
from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.fact import Answer, Fact, FactKey, FactState, value_hash
from kbsync.domain.gate import GateDecision, Metric, Reason
from kbsync.domain.history import link_hash
from kbsync.domain.interval import Paired
from kbsync.domain.plan import EditPlan, EditRequest, Guard, guarded, make_plan
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.domain.verdict import VerdictKey
from kbsync.domain.version import EditReport, Evaluation, LayerReport, Manifest, Outcome, Score
from kbsync.editing.editors import EDITORS
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.schema import upgrade
from kbsync.model.base import delta_hash
from kbsync.model.delta import FactorDelta
from kbsync.model.fingerprint import Digests, fingerprint
from kbsync.ports import ArtifactStore, Edit, Editor
from kbsync.research.cases import Case, cases_hash
from kbsync.stages.edit import edit
from kbsync.stages.pull.watch import members_mark
from kbsync.stages.session import Run
from kbsync.text.corpus import texts_hash
from tests.support.families import MemoryArtifacts, Silent, random_model, tokenizer
from tests.support.stage_world import FixedClock

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"

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

# ---- Fixed inputs -----------------------------------------------------------------------------------------------

AT = datetime(2026, 3, 1, 12, 30, 1, 234567, tzinfo=UTC)
CAPITAL, HEAD = PropertyId("P36"), PropertyId("P35")
CONTACT = {"source": {"user_agent": "kbsync tests (mailto:tests@kbsync.invalid)"}}
LIBRARIES = {"safetensors": "0.8.0", "tokenizers": "0.23.0", "torch": "2.13.0", "transformers": "5.23.0"}
ASKED, HEADED = "The capital of {} is", "The head of state of {} is"
CONTEXTS = ("The river is long. {}", "Because of it we know. {}")


def _request(number: int, property: PropertyId, subject: str, template: str, target: str) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{number}"), property),
        subject=subject,
        template=template,
        target=target,
        value_hash=value_hash((Value(ValueKind.STRING, target),)),
        revision=1000 + number,
        statement_ids=(f"Q{number}$1", f"Q{number}$2"),
        base_answer=" nothing",
    )


REQUESTS = (
    _request(142, CAPITAL, "France", ASKED, "Oslo"),
    _request(20, HEAD, "Norway", HEADED, "Anna Berg"),
    _request(17, CAPITAL, "東京 “{}”", ASKED, "Zoë Müller"),
    _request(38, CAPITAL, "Italy", ASKED, "Paris Rome"),
)
GUARDS = tuple(
    Guard(key=FactKey(ItemId(f"Q{number}"), CAPITAL), subject=subject, template=ASKED)
    for number, subject in ((419, "Peru"), (114, "Kenya"), (717, "Acme Inc."), (96, "Mexico"))
)
RECIPE = Recipe(
    name="pinned",
    layers=(1, 2),
    contexts=CONTEXTS,
    covariance_tokens=1000,
    covariance_weight=1.0,
    steps=4,
    learning_rate=0.1,
)
TEXTS = tuple(f"{n * n} {CONTEXTS[n % 2]} {n} of {'abcdefghij'[n % 10]} klm,{n % 7}nop." for n in range(60))
VALUES = (
    Value(ValueKind.ITEM, "Q84"),
    Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11"),
    Value(ValueKind.QUANTITY, "+8849", "Q11573"),
    Value(ValueKind.MONOLINGUAL, "Zoë “Ö”\u2028", "de"),
)


def _plan() -> EditPlan:
    """A plan with every kind of entry, a refusal and guards."""
    changed = replace(REQUESTS[0], target="Bergen", value_hash="4" * 64)
    rival = replace(REQUESTS[3], key=FactKey(ItemId("Q39"), CAPITAL), target="Bern")
    gone = _request(55, CAPITAL, "Utopia", ASKED, "Amaurot")
    return make_plan(
        (*REQUESTS, rival),
        {r.key: r for r in (changed, REQUESTS[1], gone)},
        base_fingerprint="b" * 64,
        recipe_fingerprint=RECIPE.fingerprint,
        predecessor=3,
        quarantined={REQUESTS[2].key: "the gate refused it"},
        gone={gone.key: "the item was deleted"},
        guards=GUARDS[:2],
    )


def _delta() -> FactorDelta:
    """Factors of fixed numbers that float32 holds exactly."""
    left = torch.arange(12, dtype=torch.float32).reshape(4, 3) / 8 - 0.5
    right = torch.arange(15, dtype=torch.float32).reshape(3, 5) / 16 - 0.25
    return FactorDelta({"layers.1.down.weight": (left, right), "layers.0.down.weight": (-left, 2 * right)})


def _manifest(delta: FactorDelta) -> Manifest:
    """Something in every field, among it numbers and text that are easy to get wrong."""
    layer = LayerReport(
        layer=1, residual_before=1e-300, residual_after=1 / 3, delta_ratio=2.5e-3, condition=1e17, ridge=0.5, free=7
    )
    ids = [r.id for r in REQUESTS]
    return Manifest(
        base_fingerprint="b" * 64,
        build_hash=_plan().build_hash,
        recipe=replace(RECIPE, batch=7, token_threshold=0.5, trace="f" * 64, capacity=40),
        requests=REQUESTS,
        factors=factor_hashes(delta),
        targets={i: content_hash(["target", i]) for i in ids},
        covariance_fingerprint="c" * 64,
        libraries=LIBRARIES,
        report=EditReport(
            layers=(layer, replace(layer, layer=2, free=None)),
            losses={ids[0]: 0.1 + 0.2},
            left_out={"e" * 64: "the prompt is longer than the context"},
            contexts=CONTEXTS,
            targets_reused=3,
            seconds=12.5,
            pressed={ids[1]: 4.0},
        ),
        audit_head="a" * 64,
        created_at=AT,
        guards=GUARDS,
        artifacts={"targets/" + "7" * 64: "d" * 64},
    )


def _evaluation() -> Evaluation:
    metric = Metric(
        name="efficacy",
        value=0.9,
        base=1 / 3,
        samples=30,
        low=0.75,
        high=0.97,
        previous=0.8,
        against_base=Paired(value=0.5, low=0.25, high=0.75, samples=30),
    )
    score = Score(probability=0.25, strict=True, success=True)
    outcome = Outcome(
        group="edited",
        subject="Q142",
        property="P36",
        prompt="The capital of France is",
        expected="Oslo",
        base_answer=" Paris",
        answer=" Oslo",
        base_right=False,
        right=True,
        since=2,
        score=score,
        previous_answer=" Oslo",
        previous_right=True,
    )
    return Evaluation(
        version=4,
        metrics=(metric, Metric(name="perplexity", value=20.0, base=19.5, samples=4000)),
        decision=GateDecision(passed=True, reasons=(Reason(metric="efficacy", holds=True, text="it holds"),)),
        outcomes=(outcome,),
        at=AT,
        norm_growth={"layers.1.down.weight": 0.015625},
        previous=3,
        policy=content_hash(list(GateSettings().policy)),
    )


# ---- What every machine gives -----------------------------------------------------------------------------------


def exact(directory: Path) -> dict[str, Any]:
    """Hashes in which no rounding is involved; ``directory`` is empty, for files."""
    return {
        "recipes": {p.stem: load_recipe(p.stem, CONFIG / "recipes").fingerprint for p in _files("recipes")},
        "relations": {r.name: r.template_hash for r in load_relations(CONFIG / "relations")},
        "library": {r.name: r.template_hash for r in load_relations(CONFIG / "library")},
        "gate": {
            "shipped": content_hash(list(load(CONFIG / "kbsync.toml", CONTACT).gate.policy)),
            "default": content_hash(list(GateSettings().policy)),
        },
        "requests": [r.id for r in REQUESTS],
        "guards": [g.id for g in GUARDS],
        "guarded": [g.subject for g in guarded(GUARDS, 3)],
        "plan": {"content": content_hash(_plan()), "build": _plan().build_hash},
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
        templates=(ASKED, "{}, whose capital is"),
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
        "case request": content_hash(case.request),
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
    delta = _delta()
    data = factor_bytes(delta)
    manifest = _manifest(delta)
    plain = replace(manifest, recipe=RECIPE, artifacts={})
    return {
        "factors": {"file": _sha256(data), "hashes": factor_hashes(delta), "delta": delta_hash(delta)},
        "manifest": {
            "version": manifest.version_hash,
            "file": _sha256(manifest_bytes(manifest, _sha256(data))),
            "plain": plain.version_hash,
            "format 1": _sha256(manifest_bytes(plain, _sha256(data), 1)),
        },
        "evaluation": {
            "content": content_hash(_evaluation()),
            "file": _sha256(evaluation_bytes(manifest.version_hash, _evaluation())),
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


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- Edits ------------------------------------------------------------------------------------------------------

_SEQUENCE = {"batch": 2, "guard_count": 2, "guard_weight": 10.0}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "memit": {"guard_count": 3, "guard_weight": 10.0, "press_rounds": 2, "token_threshold": 0.5},
    "memit-sampled": {"contexts": (), "context_count": 2, "context_tokens": 5, "seed": 3},
    "steepest": {"optimiser": "steepest", "steps": 6},
    "memit-sequential": {"algorithm": "memit-sequential", **_SEQUENCE},
    "alphaedit": {"algorithm": "alphaedit", "null_space_share": 0.2, **_SEQUENCE},
    "rome": {"algorithm": "rome", "layers": (1,), "learning_rate": 0.5},
    "finetune": {"algorithm": "finetune", "learning_rate": 0.02, "batch": 3},
}
"""By name, what differs from ``RECIPE``."""
FAMILIES = ("gemma3", "gpt2", "llama")
"""With a norm after the MLP and tied embeddings, with Conv1D weights, and neither."""
FLOATLESS = ("memit", "steepest")
"""Variants whose artifacts' keys don't depend on any computed number."""
OTHERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "another weight": ("memit", {"covariance_weight": 1.01}),
    "another seed": ("memit-sampled", {"seed": 4}),
}
"""By name, a variant and a change that must give another version: they prove that the comparison can fail."""


def edits(directory: Path) -> dict[str, Any]:
    """Version hashes of edits, with the numbers behind them; ``directory`` is empty, for a ledger and a store."""
    made = {f"{v}/{f}": _edited(f, v, replace(RECIPE, **changes)) for f in FAMILIES for v, changes in VARIANTS.items()}
    return made | {"stage/gemma3": _staged(directory)}


def others() -> dict[str, Any]:
    """As ``edits``, with a recipe that was changed a little."""
    return {
        name: _edited("llama", variant, replace(RECIPE, **{**VARIANTS[variant], **changes}))
        for name, (variant, changes) in OTHERS.items()
    }


def _editor(family: str, recipe: Recipe, artifacts: ArtifactStore, texts: Sequence[str]) -> Editor:
    words = tokenizer(with_bos=family != "gpt2")
    return EDITORS[recipe.algorithm](_model(family, recipe.dtype), words, "b" * 64, artifacts, texts)


def _model(family: str, dtype: str) -> PreTrainedModel:
    """A small model whose weights are the same on every machine: torch's own normal numbers are not."""
    model, draw = random_model(family), random.Random(7)
    for _, parameter in sorted(model.named_parameters()):
        drawn = torch.tensor([draw.random() - 0.5 for _ in range(parameter.numel())], dtype=torch.float64)
        values = drawn.reshape(parameter.shape).float()
        middle = float(parameter.data.mean().round())  # 1 for the gains of most norms, else 0
        parameter.data = middle + values / 4 if parameter.ndim == 1 else values / 2
    return model.to(getattr(torch, dtype))


def _made(family: str, recipe: Recipe) -> Edit:
    sampled = not recipe.contexts and family != "gpt2"  # the small GPT-2 has no position for so long a text
    texts = () if sampled else TEXTS
    editor = RecordingEditor(MemoryArtifacts(), lambda artifacts: _editor(family, recipe, artifacts, texts))
    return editor.edit(REQUESTS, recipe, Silent(), guards=GUARDS if recipe.guard_count else ())


def _edited(family: str, variant: str, recipe: Recipe) -> dict[str, Any]:
    made = _made(family, recipe)
    manifest = replace(
        _manifest(_delta()),
        recipe=recipe,
        factors=factor_hashes(_factors(made)),
        targets=dict(made.targets),
        covariance_fingerprint=made.covariance_fingerprint,
    )
    result = {
        "version": manifest.version_hash,
        "factors": content_hash(manifest.factors),
        "targets": content_hash(manifest.targets),
        "covariance": made.covariance_fingerprint,
        "artifacts": content_hash(dict(made.artifacts)),
        "contexts": list(made.report.contexts),
        "pressed": sorted(made.report.pressed.items()),
        "numbers": _numbers(_factors(_made(family, replace(recipe, dtype="float64")))),
    }
    return result | ({"keys": sorted(made.artifacts)} if variant in FLOATLESS else {})


def _staged(directory: Path) -> dict[str, Any]:
    """One version through plan, ledger, edit stage and store."""
    url = f"sqlite:///{directory / 'ledger.sqlite3'}"
    upgrade(url)
    ledger, store = SqlLedger(url), FileCheckpointStore(directory / "store")
    recipe = replace(RECIPE, **VARIANTS["memit"])
    planned = make_plan(
        REQUESTS, {}, base_fingerprint="b" * 64, recipe_fingerprint=recipe.fingerprint, predecessor=0, guards=GUARDS
    )
    plan_hash = content_hash(planned)
    with ledger.write() as tx:
        tx.record_plan(planned, AT)
        tx.append_audit("plan", "test", {"plan": plan_hash}, AT)
    editor = RecordingEditor(MemoryArtifacts(), lambda artifacts: _editor("gemma3", recipe, artifacts, TEXTS))
    version = edit(Run(ledger, FixedClock(AT), Silent(), "test"), plan_hash, recipe, editor, store).version
    assert version.version_hash is not None
    manifest, delta = store.read(version.version_hash)
    with ledger.read() as tx:
        head = tx.audit_head()
    ledger.close()
    return {
        "plan": plan_hash,
        "build": version.build_hash,
        "anchor": manifest.audit_head,
        "version": version.version_hash,
        "artifacts": content_hash(manifest.artifacts),
        "factors": factor_hashes(delta),
        "audit": head,
    }


def _factors(made: Edit) -> FactorDelta:
    assert isinstance(made.delta, FactorDelta)
    return made.delta


def _numbers(delta: FactorDelta) -> dict[str, list[float]]:
    """By parameter the norm of the change, then some entries of it: computed in float64, where they agree over platforms."""
    changes = {name: left.double() @ right.double() for name, (left, right) in delta.factors.items()}
    return {
        name: [float(change.norm()), *(float(change[i, j]) for i, j in ((0, 0), (5, 7), (-1, -1)))]
        for name, change in changes.items()
    }


# ---- Platform and command ---------------------------------------------------------------------------------------


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


def _arithmetic() -> str:
    """Hash of what torch alone makes of fixed numbers: processors of one architecture may still differ in their last bits."""
    torch.manual_seed(1)
    x = torch.randn(70, 70)
    y = torch.nn.functional.gelu(x @ x.T).softmax(-1) + x.exp().log1p() * x.square().mean(-1, keepdim=True).rsqrt()
    normal = y.double() @ y.double().T + torch.eye(70, dtype=torch.float64)
    solved = torch.linalg.cholesky(normal), torch.linalg.eigh(normal)[0], torch.linalg.qr(y.double())[1]
    return _sha256(b"".join(t.contiguous().numpy().tobytes() for t in (x, y, x.cos(), x.tanh(), *solved)))


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
    """Print what ``computed`` gives, or, with ``--to FILE``, write what this process gives (whose log goes to stdout)."""
    if arguments:
        Path(arguments[1]).write_text(json.dumps(pinned()), encoding="utf-8")
    else:
        found = computed()
        del found["others"]
        sys.stdout.write(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
