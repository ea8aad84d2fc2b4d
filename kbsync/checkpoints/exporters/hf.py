"""Export a version as a whole model in the format of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from kbsync.checkpoints.exporters.casting import cast_directory
from kbsync.checkpoints.exporters.directory import Finish, exported, no_more, record
from kbsync.checkpoints.safetensors_patch import copy_others, write_patched
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.load import LoadedModel
from kbsync.model.quiet import quiet


def export_hf(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    about: Mapping[str, Any] | None = None,
    dtype: str = "",
    finish: Finish = no_more,
) -> Path:
    """Write weights (safetensors) of the edited base, and all other files as the base has them.

    ``AutoModelForCausalLM.from_pretrained`` loads the directory, and the model answers as the version does: loaded in
    the dtype that ``kbsync.json`` names, its weights are those that ``applied`` puts in place. Only the edited tensors
    differ from the base's files; configuration, tokenizer, templates, processors and licence are copied byte for byte.
    The directory appears whole or not at all.

    Args:
        directory: Its name may be taken by an empty directory only.
        about: Recorded in ``kbsync.json``.
        dtype: What the weights are rounded to (``bfloat16``); empty: the base's dtype.
        finish: Adds files.

    Returns:
        The absolute path.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base.
    """
    with exported(directory) as unfinished:
        before = {n: p for n, p in loaded.model.named_parameters() if n in delta.parameters}
        with applied(loaded.model, delta):
            after = {n: loaded.model.get_parameter(n) for n in before}
            digests = write_patched(loaded.directory, unfinished, before, after)
            if digests is None:
                _write_anew(loaded, unfinished)
        own = str(loaded.model.dtype).removeprefix("torch.")
        told = {"format": "hf", "dtype": dtype or own, "base": loaded.reference} | dict(about or {})
        if dtype and dtype != own:
            cast_directory(unfinished, dtype)
            digests = None
        finish(unfinished, told)
        record(unfinished, told, digests or {})
    return directory.expanduser().absolute()


def _write_anew(loaded: LoadedModel, target: Path) -> None:
    """Write weights that are not those of the base's files, as transformers writes a model."""
    own = loaded.model.generation_config
    if loaded.directory.is_dir():
        # transformers reads generation settings that it refuses to write; the base's file is copied anyway.
        loaded.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        with quiet():
            loaded.model.save_pretrained(target)
            if not loaded.directory.is_dir():
                loaded.tokenizer.save_pretrained(target)
                return
    finally:
        loaded.model.generation_config = own
    for name in ("config.json", "generation_config.json"):
        (target / name).unlink(missing_ok=True)
    copy_others(loaded.directory, target)
