"""Edit the facts of a transformers model: MEMIT, ROME, AlphaEdit, fine-tuning, and causal tracing.

    import kbsync.editing as ke

    recipe = ke.Recipe(layers=(2, 3, 4), covariance_weight=500.0)
    edit = ke.edit_model(model, tokenizer, [ke.Rewrite("The capital of {} is", "Kazakhstan", "Astana")], recipe)
    with edit as model:  # the model says it; afterwards its own weights are back
        ...
    edit.save_peft("adapter")

torch and transformers are imported when the first name is used that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbsync.domain.errors import DataError, EditError, ModelError
    from kbsync.domain.recipe import ALGORITHMS, Recipe
    from kbsync.domain.rewrite import Preserved, Rewrite
    from kbsync.domain.version import EditReport, LayerReport
    from kbsync.editing.interface.artifacts import DirectoryArtifacts, MemoryArtifacts
    from kbsync.editing.interface.fact_trace import (
        TracedFact,
        average_effects,
        embedding_std,
        suggest_layers,
        trace_fact,
    )
    from kbsync.editing.interface.fingerprint import model_fingerprint
    from kbsync.editing.interface.model_edit import ModelEdit, edit_model
    from kbsync.editing.tracing.effects import Effect, FactTrace, Role, State

__all__ = [
    "ALGORITHMS",
    "DataError",
    "DirectoryArtifacts",
    "EditError",
    "EditReport",
    "Effect",
    "FactTrace",
    "LayerReport",
    "MemoryArtifacts",
    "ModelEdit",
    "ModelError",
    "Preserved",
    "Recipe",
    "Rewrite",
    "Role",
    "State",
    "TracedFact",
    "average_effects",
    "edit_model",
    "embedding_std",
    "model_fingerprint",
    "suggest_layers",
    "trace_fact",
]

_MODULES = {
    "kbsync.domain.errors": ("DataError", "EditError", "ModelError"),
    "kbsync.domain.recipe": ("ALGORITHMS", "Recipe"),
    "kbsync.domain.rewrite": ("Preserved", "Rewrite"),
    "kbsync.domain.version": ("EditReport", "LayerReport"),
    "kbsync.editing.interface.artifacts": ("DirectoryArtifacts", "MemoryArtifacts"),
    "kbsync.editing.interface.fact_trace": (
        "TracedFact",
        "average_effects",
        "embedding_std",
        "suggest_layers",
        "trace_fact",
    ),
    "kbsync.editing.interface.fingerprint": ("model_fingerprint",),
    "kbsync.editing.interface.model_edit": ("ModelEdit", "edit_model"),
    "kbsync.editing.tracing.effects": ("Effect", "FactTrace", "Role", "State"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
