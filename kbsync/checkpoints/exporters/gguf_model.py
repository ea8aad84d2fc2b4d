"""Export a version as the base's own GGUF file with the edited tensors replaced; all else is the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kbsync.checkpoints.exporters.directory import Finish, exported, no_more, record
from kbsync.model.delta import FactorDelta
from kbsync.model.gguf_encoding import encoded, type_number
from kbsync.model.gguf_layout import GgufLayout, GgufTensor, aligned, mapped, stored_size, values_of

FILE = "model.gguf"
_CHUNK = 1 << 24
"""Bytes that are copied at once."""
_ROWS = 4096
"""Rows that are computed at once."""


def export_gguf(
    base: GgufLayout,
    names: Mapping[str, str],
    delta: FactorDelta,
    directory: Path,
    type: str = "f16",
    about: Mapping[str, Any] | None = None,
    finish: Finish = no_more,
) -> Path:
    """Write ``model.gguf``; the directory appears whole or not at all.

    The key-value section and the tensors that are not edited are copied byte for byte. An edited tensor becomes
    (the file's numbers + Δ), rounded once. Memory holds some thousand rows of one tensor.

    Args:
        base: The base's own file.
        names: By edited parameter, its name in that file.
        delta: The change.
        directory: Its name may be taken by an empty directory only.
        type: In which type the edited tensors are stored, one of ``gguf_encoding.TYPES``.
        about: Recorded in ``kbsync.json``.
        finish: Adds files.

    Returns:
        The absolute path of the directory.

    Raises:
        StoreError: The directory can't be written, or is not empty.
        EditError: A number is beyond what the type can hold.
    """
    edited = {names[parameter]: factors for parameter, factors in delta.factors.items()}
    number = type_number(type)
    kinds = [number if tensor.name in edited else tensor.kind for tensor in base.tensors]
    sizes = [stored_size(tensor.shape, kind) for tensor, kind in zip(base.tensors, kinds, strict=True)]
    with exported(directory) as unfinished, mapped(base.file) as data, (unfinished / FILE).open("wb") as file:
        _write_header(file, base, data, kinds, sizes)
        for tensor in base.tensors:
            factors = edited.get(tensor.name)
            for chunk in _copied(data, tensor) if factors is None else _computed(data, tensor, factors, type):
                file.write(chunk)
            _pad(file, base.alignment)
        file.flush()
        told = {"format": "gguf", "type": type, "base_file": base.file.name} | dict(about or {})
        finish(unfinished, told)
        record(unfinished, told)
    return directory.expanduser().absolute()


def _write_header(file: BinaryIO, base: GgufLayout, data: memoryview, kinds: list[int], sizes: list[int]) -> None:
    file.write(data[: base.pairs_end])
    offset = 0
    for tensor, kind, size in zip(base.tensors, kinds, sizes, strict=True):
        name, shape = tensor.name.encode(), tensor.shape[::-1]
        file.write(struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        file.write(struct.pack("<IQ", kind, offset))
        offset = aligned(offset + size, base.alignment)
    _pad(file, base.alignment)


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(b"\0" * (-file.tell() % alignment))


def _copied(data: memoryview, tensor: GgufTensor) -> Iterator[memoryview]:
    end = tensor.offset + tensor.size
    for at in range(tensor.offset, end, _CHUNK):
        yield data[at : min(at + _CHUNK, end)]


def _computed(data: memoryview, tensor: GgufTensor, factors: tuple[Any, Any], type: str) -> Iterator[memoryview]:
    left, right = (factor.double().numpy() for factor in factors)
    for at in range(0, tensor.shape[0], _ROWS):
        rows = slice(at, at + _ROWS)
        values = values_of(data, tensor, rows).astype(np.float64) + left[rows] @ right
        yield encoded(values.astype(np.float32), type, tensor.name).data.cast("B")
