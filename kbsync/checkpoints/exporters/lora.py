"""Export a version as a PEFT adapter, for servers that hot-load adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kbsync.checkpoints.exporters.directory import exported, record
from kbsync.model.delta import FactorDelta
from kbsync.model.load import LoadedModel
from kbsync.model.peft_adapter import PeftAdapter, peft_adapter
from kbsync.model.reference import PACKAGE


def export_lora(
    loaded: LoadedModel,
    delta: FactorDelta,
    directory: Path,
    rank: int | None = None,
    about: Mapping[str, Any] | None = None,
    base_name: str = "",
) -> PeftAdapter:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json``; the directory appears whole or not at all.

    Args:
        directory: Its name may be taken by an empty directory only.
        rank: The highest rank of a matrix; None: full, so that the adapter is exact.
        about: Recorded in ``kbsync.json``, beside what each matrix lost.
        base_name: What the adapter calls its base; empty: its name on the hub, or its directory.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base.
    """
    adapter = peft_adapter(loaded.model, delta, base_name or _base(loaded), rank)
    with exported(directory) as unfinished:
        adapter.write(unfinished)
        told = {"format": "lora", "rank": adapter.rank, "matrices": [asdict(m) for m in adapter.matrices]}
        record(unfinished, told | dict(about or {}))
    return adapter


def _base(loaded: LoadedModel) -> str:
    """The name on the hub where the base has one, else the directory that holds its safetensors."""
    name, _, _ = loaded.reference.partition("@")
    on_hub = not loaded.reference.startswith((PACKAGE, "/", ".", "~")) and name.count("/") == 1
    return name if on_hub and not name.endswith(".gguf") else str(loaded.directory)
