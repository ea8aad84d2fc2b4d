"""A GGUF file rounded again, as people do who quantise after the edit; the package gguf knows these types only."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from kbsync.model.gguf_layout import GgufLayout, aligned, library, mapped, read_layout, stored_size, values_of

_ROWS = 8192


def requantised(file: Path, target: Path, type: str) -> Path:
    """Write every matrix of ``file`` in ``type`` (``Q4_0``, ``Q5_0``, ``Q8_0``, …); all else is copied."""
    gguf, layout = library(), read_layout(file)
    number = int(gguf.GGMLQuantizationType[type])
    kinds = [number if len(t.shape) == 2 and t.shape[1] % 32 == 0 else t.kind for t in layout.tensors]
    with mapped(file) as data, target.open("wb") as out:
        out.write(data[: layout.pairs_end])
        out.write(_infos(layout, kinds))
        out.write(b"\0" * (-out.tell() % layout.alignment))
        for tensor, kind in zip(layout.tensors, kinds, strict=True):
            if kind == tensor.kind:
                out.write(data[tensor.offset : tensor.offset + tensor.size])
            else:
                for at in range(0, tensor.shape[0], _ROWS):
                    values = np.ascontiguousarray(values_of(data, tensor, slice(at, at + _ROWS)))
                    out.write(gguf.quants.quantize(values, gguf.GGMLQuantizationType(kind)).tobytes())
            out.write(b"\0" * (-out.tell() % layout.alignment))
    return target


def _infos(layout: GgufLayout, kinds: list[int]) -> bytes:
    written, offset = b"", 0
    for tensor, kind in zip(layout.tensors, kinds, strict=True):
        name, shape = tensor.name.encode(), tensor.shape[::-1]
        written += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        written += struct.pack("<IQ", kind, offset)
        offset = aligned(offset + stored_size(tensor.shape, kind), layout.alignment)
    return written
