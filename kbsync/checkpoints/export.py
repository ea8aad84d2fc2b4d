"""Export a version as a directory that needs no kbsync any more: a whole model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbsync.checkpoints.exported import exported, record
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.load import LoadedModel
from kbsync.model.quiet import quiet


def export_hf(loaded: LoadedModel, delta: FactorDelta, directory: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write weights (safetensors), configuration and tokenizer of the edited base to ``directory``.

    ``AutoModelForCausalLM.from_pretrained`` loads it, and it answers as the version does: the weights are the ones
    that ``applied`` puts in place, in the base's dtype. The directory appears whole or not at all; its name may be
    taken by an empty directory only. ``about`` is recorded in ``kbsync.json``.

    Returns the absolute path. Raises ``StoreError`` when it can't be written, ``EditError`` when the delta does not
    fit the base.
    """
    with exported(directory) as unfinished:
        with applied(loaded.model, delta), quiet():
            loaded.model.save_pretrained(unfinished)
            loaded.tokenizer.save_pretrained(unfinished)
        record(unfinished, {"format": "hf"} | dict(about or {}))
    return directory.expanduser().absolute()
