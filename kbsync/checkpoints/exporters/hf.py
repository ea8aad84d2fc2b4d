"""Export a version as a whole model in the format of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbsync.checkpoints.exporters.directory import exported, record
from kbsync.checkpoints.safetensors_patch import write_patched
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.load import LoadedModel
from kbsync.model.quiet import quiet


def export_hf(loaded: LoadedModel, delta: FactorDelta, directory: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write weights (safetensors), configuration and tokenizer of the edited base.

    ``AutoModelForCausalLM.from_pretrained`` loads the directory, and the model answers as the version does: its weights
    are those that ``applied`` puts in place, in the base's dtype. Where the base's own files hold its weights as they
    were loaded, these files are copied and the edited tensors overwritten. The directory appears whole or not at all.

    Args:
        directory: Its name may be taken by an empty directory only.
        about: Recorded in ``kbsync.json``.

    Returns:
        The absolute path.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base.
    """
    with exported(directory) as unfinished:
        before = {n: p for n, p in loaded.model.named_parameters() if n in delta.parameters}
        with applied(loaded.model, delta), quiet():
            after = {n: loaded.model.get_parameter(n) for n in before}
            digests = write_patched(loaded.directory, unfinished, before, after)
            if digests is None:  # loaded in another dtype, or under other names than the files have
                loaded.model.save_pretrained(unfinished)
                loaded.tokenizer.save_pretrained(unfinished)
        record(unfinished, {"format": "hf"} | dict(about or {}), digests or {})
    return directory.expanduser().absolute()
