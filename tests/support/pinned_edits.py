"""Edits of small random models whose version hashes are pinned."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.factors import hashes as factor_hashes
from kbsync.checkpoints.recording_store import RecordingEditor
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.canonical import content_hash
from kbsync.domain.plan import make_plan
from kbsync.domain.recipe import Recipe
from kbsync.editing.editors import EDITORS
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.schema import upgrade
from kbsync.model.delta import FactorDelta
from kbsync.ports import ArtifactStore, Edit, Editor
from kbsync.stages.edit import edit
from kbsync.stages.session import Run
from tests.support.families import MemoryArtifacts, Silent, random_model, tokenizer
from tests.support.pinned_inputs import AT, GUARDS, RECIPE, REQUESTS, TEXTS, fixed_delta, fixed_manifest
from tests.support.stage_world import FixedClock

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
        fixed_manifest(fixed_delta()),
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
    ledger, store = SqlLedger(url), FileCheckpointStore(DiskStorage(directory / "store"))
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
    """By parameter the norm of the change, then some entries of it: computed in float64, where they agree over
    platforms."""
    changes = {name: left.double() @ right.double() for name, (left, right) in delta.factors.items()}
    return {
        name: [float(change.norm()), *(float(change[i, j]) for i, j in ((0, 0), (5, 7), (-1, -1)))]
        for name, change in changes.items()
    }
