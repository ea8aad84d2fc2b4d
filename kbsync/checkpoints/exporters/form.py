"""The forms in which a version is written for servers, and the one function that writes any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbsync.model.delta import FactorDelta
    from kbsync.model.gguf_comparison import GgufComparison
    from kbsync.model.gguf_layout import GgufLayout
    from kbsync.model.load import LoadedModel
    from kbsync.model.peft_adapter import AdapterMatrix

HF, LORA, GGUF, GGUF_LORA = "hf", "lora", "gguf", "gguf-lora"
ADAPTERS, WHOLE = (LORA, GGUF_LORA), (HF, GGUF)
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM 0.33 takes as --max-lora-rank (``vllm/config/lora.py``, ``MaxLoRARanks``); its default is 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportForm:
    """What is written."""

    format: str
    """``hf`` (a whole model), ``lora`` (a PEFT adapter), ``gguf`` (the base's GGUF file with the edited tensors
    replaced) or ``gguf-lora`` (an adapter as GGUF)."""
    rank: int | None = None
    """The highest rank of an adapter's matrix; None: full."""
    type: str = "f16"
    """In GGUF files the type of the edited tensors, or of the adapter's."""
    gguf: Path | None = None
    """The base's GGUF file; None: the one that the base was converted from, if any."""
    base_name: str = ""
    """The base's name as servers know it; empty: its name on the hub, or its directory."""

    @property
    def suffix(self) -> str:
        """What tells directories of the same version in several forms apart."""
        parts = [
            self.format,
            f"{self.rank}" if self.rank else "",
            self.type if self.format in (GGUF, GGUF_LORA) else "",
        ]
        return "-".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    matrices: tuple[AdapterMatrix, ...] = ()
    """Of an adapter."""
    rank: int | None = None
    """The rank that an adapter's server must allow."""
    warnings: tuple[str, ...] = field(default=())
    """What is wrong with serving it; empty: nothing that is known."""


def write_export(
    loaded: LoadedModel, delta: FactorDelta, directory: Path, form: ExportForm, about: Mapping[str, Any]
) -> Exported:
    """Write a version; the directory appears whole or not at all.

    Args:
        loaded: The base.
        delta: The version's change; empty: the base itself, which has no adapter.
        directory: Its name may be taken by an empty directory only.
        form: What is written.
        about: Recorded in ``kbsync.json``.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: The change does not fit the base, or the base's GGUF file is another model's.
        ModelError: There is no GGUF file of the base where one is needed, or it can't be read.
    """
    if form.format == HF:
        from kbsync.checkpoints.exporters.hf import export_hf

        export_hf(loaded, delta, directory, about)
        return Exported()
    if form.format == LORA:
        from kbsync.checkpoints.exporters.lora import export_lora

        adapter = export_lora(loaded, delta, directory, form.rank, about, form.base_name)
        return Exported(matrices=adapter.matrices, rank=adapter.rank, warnings=_rank_warnings(adapter.rank))
    return _write_gguf(loaded, delta, directory, form, about)


def server_rank(rank: int) -> int | None:
    """What vLLM must be started with (--max-lora-rank) for an adapter of this rank; None: it takes none so high."""
    return next((allowed for allowed in VLLM_RANKS if allowed >= rank), None)


def _rank_warnings(rank: int) -> tuple[str, ...]:
    if server_rank(rank) is not None:
        return ()
    return (
        f"The adapter has rank {rank}, and vLLM takes at most {VLLM_RANKS[-1]}: serve the version as hf or gguf, or "
        "cut the adapter with --rank.",
    )


def _write_gguf(
    loaded: LoadedModel, delta: FactorDelta, directory: Path, form: ExportForm, about: Mapping[str, Any]
) -> Exported:
    from kbsync.checkpoints.exporters.gguf_adapter import export_gguf_adapter
    from kbsync.checkpoints.exporters.gguf_model import export_gguf
    from kbsync.model.gguf_source import base_gguf, needed
    from kbsync.model.peft_adapter import cut_to

    cut, matrices = cut_to(delta, form.rank)
    with base_gguf(loaded.reference, form.gguf, Path(gettempdir())) as base:
        if form.format == GGUF:
            base = needed(base)
            compared, warnings = _compared(base, loaded, delta)
            export_gguf(base, compared.names, delta, directory, form.type, dict(about) | {"warnings": list(warnings)})
            return Exported(warnings=warnings)
        architecture, blocks = _shape(base, loaded)
        warnings = _compared(base, loaded, delta)[1] if base is not None else ()
        more = {"matrices": [asdict(m) for m in matrices], "warnings": list(warnings)}
        rank = export_gguf_adapter(cut, architecture, blocks, directory, form.type, dict(about) | more)
        return Exported(matrices=matrices, rank=rank, warnings=warnings)


def _compared(base: GgufLayout, loaded: LoadedModel, delta: FactorDelta) -> tuple[GgufComparison, tuple[str, ...]]:
    from kbsync.model.gguf_comparison import compare

    compared = compare(base, loaded.model, delta.parameters)
    return compared, (compared.warning,) if compared.warning else ()


def _shape(base: GgufLayout | None, loaded: LoadedModel) -> tuple[str, int]:
    """llama.cpp's name of the architecture, and the number of layers."""
    from kbsync.model.gguf_names import architecture_of

    if base is not None:
        return base.architecture, base.blocks
    config = loaded.model.config
    return architecture_of(config.model_type), int(config.num_hidden_layers)
