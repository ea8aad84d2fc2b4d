"""The forms in which a version is written for servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    dtype: str = ""
    """Of a whole model or a PEFT adapter; empty: a model's is the base's, an adapter's float32."""

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


def server_rank(rank: int) -> int | None:
    """The --max-lora-rank that vLLM must be started with for an adapter of this rank; None: it takes none so high."""
    return next((allowed for allowed in VLLM_RANKS if allowed >= rank), None)


def rank_warnings(rank: int) -> tuple[str, ...]:
    """What is wrong with an adapter of this rank."""
    if server_rank(rank) is not None:
        return ()
    return (
        f"The adapter has rank {rank}, and vLLM takes at most {VLLM_RANKS[-1]}: serve the version as hf or gguf, or "
        "cut the adapter with --rank.",
    )
