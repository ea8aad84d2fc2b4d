"""Export a version as a PEFT adapter, for servers that hot-load adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kbsync.checkpoints.exporters.directory import Finish, exported, no_more, record
from kbsync.checkpoints.exporters.form import LORA, ExportForm, rank_warnings, server_rank
from kbsync.model.delta import FactorDelta
from kbsync.model.load import DTYPES, LoadedModel
from kbsync.model.peft_adapter import PeftAdapter, peft_adapter
from kbsync.model.reference import PACKAGE


def export_lora(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    form: ExportForm | None = None,
    about: Mapping[str, Any] | None = None,
    finish: Finish = no_more,
) -> PeftAdapter:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json``; the directory appears whole or not at all.

    Args:
        directory: Its name may be taken by an empty directory only.
        form: Highest rank, dtype and the base's name; None: an exact adapter in float32.
        about: Recorded in ``kbsync.json``, beside what each matrix lost.
        finish: Adds files.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base.
    """
    form = form or ExportForm(format=LORA)
    adapter = peft_adapter(loaded.model, delta, form.base_name or base_name(loaded), form.rank)
    with exported(directory) as unfinished:
        adapter.write(unfinished, DTYPES[form.dtype or "float32"])
        told: dict[str, Any] = {
            "format": LORA,
            "rank": adapter.rank,
            "server_rank": server_rank(adapter.rank),
            "matrices": [asdict(m) for m in adapter.matrices],
            "warnings": list(rank_warnings(adapter.rank)),
        }
        told |= dict(about or {})
        finish(unfinished, told)
        record(unfinished, told)
    return adapter


def base_name(loaded: LoadedModel) -> str:
    """The name on the hub where the base has one, else the directory that holds its safetensors."""
    name, _, _ = loaded.reference.partition("@")
    on_hub = not loaded.reference.startswith((PACKAGE, "/", ".", "~")) and name.count("/") == 1
    return name if on_hub and not name.endswith(".gguf") else str(loaded.directory)
