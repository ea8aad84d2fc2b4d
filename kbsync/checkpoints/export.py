"""Export a version as a directory that needs no kbsync any more: a whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kbsync.checkpoints.files import explained
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import StoreError
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.durable import make_directory, new_directory
from kbsync.model.load import LoadedModel
from kbsync.model.quiet import quiet

RECORD = "kbsync.json"
"""What the exported directory is, for people and programs: version, version hash, base, format."""


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


@contextmanager
def exported(directory: Path) -> Iterator[Path]:
    """A temporary directory that becomes ``directory`` at the end of the block; an existing one that is not empty is
    refused (``StoreError``)."""
    target = directory.expanduser().absolute()
    kept = "The version and the base were not changed, and nothing was exported."
    with explained(f"exporting to {target}", kept=kept):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StoreError(f"{target} is there already.", kept=kept, next_step="Name a new or an empty directory.")
        make_directory(target.parent)
        with new_directory(target) as unfinished:
            yield unfinished


def record(directory: Path, about: Mapping[str, Any]) -> None:
    """Write ``kbsync.json``."""
    (directory / RECORD).write_text(canonical_json(about) + "\n", encoding="utf-8")
