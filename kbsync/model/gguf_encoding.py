"""Numbers as a GGUF file stores them."""

from __future__ import annotations

import numpy as np

from kbsync.domain.errors import EditError
from kbsync.model.gguf_layout import library

TYPES = ("f16", "bf16", "q8_0", "f32")
"""The types that kbsync writes, the default first."""
Q8_BLOCK = 32
"""Numbers in one block of ``q8_0``; a row is a whole number of blocks."""


def type_number(name: str) -> int:
    """The number by which GGUF files name a type of ``TYPES``."""
    return int(library().GGMLQuantizationType[name.upper()])


def encoded(values: np.ndarray, name: str, what: str) -> np.ndarray:
    """Bytes of a matrix.

    Args:
        values: float32, (rows, columns).
        name: One of ``TYPES``.
        what: Names the matrix in an error.

    Returns:
        uint8, (rows, bytes of a row).

    Raises:
        EditError: A number is beyond what the type can hold, or the columns don't fill its blocks.
    """
    gguf = library()
    if name == "q8_0" and values.shape[1] % Q8_BLOCK:
        raise EditError(
            f"{what} has {values.shape[1]} columns, and q8_0 needs a multiple of {Q8_BLOCK}.",
            next_step="Export it with --type f16.",
        )
    kind = gguf.GGMLQuantizationType[name.upper()]
    with np.errstate(over="ignore"):
        stored = np.asarray(gguf.quants.quantize(np.ascontiguousarray(values, np.float32), kind))
    if not np.isfinite(decoded(stored, name)).all():
        raise EditError(f"{what} has numbers that {name} can't hold.", next_step="Export it with --type bf16.")
    return stored.view(np.uint8).reshape(values.shape[0], -1)


def decoded(stored: np.ndarray, name: str) -> np.ndarray:
    """The float32 numbers that ``encoded`` bytes stand for."""
    gguf = library()
    kind = gguf.GGMLQuantizationType[name.upper()]
    return np.asarray(gguf.quants.dequantize(stored, kind), np.float32)
