"""The layout of a GGUF file: where each tensor's bytes lie, and which bytes stand before them.

The header is parsed here, since the package ``gguf`` takes seconds for a vocabulary of 262,144 entries and does not
say where its key-value section ends. Source: ``docs/gguf.md`` of the ggml project, versions 2 and 3.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from kbsync.domain.errors import ModelError

_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by the number of its type."""
_ALIGNMENT = 32
"""Where a file names none."""
_ALIGNMENTS = frozenset(2**n for n in range(3, 21))
"""Multiples of eight that are powers of two, up to a mebibyte."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    """As numpy and torch have it: of a matrix (out, in)."""
    kind: int
    """Number of its type; ``type_name`` says it."""
    offset: int
    """Where its bytes begin in the file."""
    size: int
    """Number of its bytes."""

    @property
    def type_name(self) -> str:
        """``F16``, ``Q4_K``, …"""
        return str(library().GGMLQuantizationType(self.kind).name)


@dataclass(frozen=True, slots=True)
class GgufLayout:
    """What the header of a file says."""

    file: Path
    version: int
    pairs: int
    """Number of key-value pairs."""
    pairs_end: int
    """Where the section of the pairs ends in the file; it begins at byte 24."""
    alignment: int
    values: Mapping[str, str | int]
    """The pairs that are texts or whole numbers."""
    tensors: tuple[GgufTensor, ...]

    @property
    def architecture(self) -> str:
        """As ``general.architecture`` says; empty where it does not."""
        return str(self.values.get("general.architecture", ""))

    @property
    def blocks(self) -> int:
        """Number of layers. Raises ``ModelError`` where the file says none that can be."""
        try:
            return _whole(self.values, f"{self.architecture}.block_count", 0)
        except ValueError as error:
            raise _damaged(self.file, error) from error

    def tensor(self, name: str) -> GgufTensor:
        """The tensor of this name. Raises ``ModelError`` where there is none."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise ModelError(f"{self.file} has no tensor {name}.", next_step="Name the GGUF of the base that was edited.")


def library() -> Any:
    """The package ``gguf``. Raises ``ModelError`` where it is not installed."""
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            "Reading and writing GGUF files needs the package gguf, which is not installed.",
            next_step="Install it: pip install 'kbsync[gguf]'",
        )
    return importlib.import_module("gguf")


def read_layout(file: Path) -> GgufLayout:
    """Parse the header of a GGUF file.

    Raises:
        ModelError: There is no such file, it is not whole, or it is one of several parts.
    """
    try:
        with mapped(file) as data:
            return _layout(file, data)
    except OSError as error:
        raise ModelError(
            f"{file} can't be read: {error.strerror}.", next_step="Name a GGUF file that exists."
        ) from error
    except (struct.error, ValueError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{file} can't be read as GGUF: {error}.", next_step="Check that the file is whole and little-endian."
    )


@contextmanager
def mapped(file: Path) -> Iterator[memoryview]:
    """The bytes of a file; raises ``ValueError`` for an empty one."""
    with file.open("rb") as opened:
        # Not closed here: slices of it may outlive the block, and the last of them closes it.
        yield memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def values_of(data: memoryview, tensor: GgufTensor, rows: slice = slice(None)) -> np.ndarray:
    """Some rows of a matrix as float32.

    Args:
        data: The bytes of the whole file.
        tensor: Two-dimensional.
        rows: Which of its rows.

    Returns:
        float32, (rows, in), a copy.

    Raises:
        ModelError: The package ``gguf`` does not know how to read this type.
    """
    gguf = library()
    kind = gguf.GGMLQuantizationType(tensor.kind)
    stored = np.frombuffer(data[tensor.offset : tensor.offset + tensor.size], np.uint8).reshape(tensor.shape[0], -1)
    floats = {gguf.GGMLQuantizationType.F32: np.float32, gguf.GGMLQuantizationType.F16: np.float16}
    chosen = stored[rows].copy()
    if kind in floats:
        return chosen.view(floats[kind]).astype(np.float32)
    try:
        return np.asarray(gguf.quants.dequantize(chosen, kind), np.float32)
    except NotImplementedError as error:
        raise ModelError(
            f"{tensor.name} is {tensor.type_name}, which the package gguf can't read.",
            next_step="Name a GGUF of the same model in another quantisation.",
        ) from error


def _layout(file: Path, data: memoryview) -> GgufLayout:
    if bytes(data[:4]) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, count, pairs = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3):
        raise ValueError(f"its version is {version}")
    values, at = dict[str, str | int](), 24
    for _ in range(pairs):
        key, at = _text(data, at)
        kind, at = _number(data, at, "<I")
        if kind == _STRING:
            values[key], at = _text(data, at)
            continue
        if kind == 4:
            values[key] = _number(data, at, "<I")[0]
        at = _after(data, at, kind)
    if values.get("split.count", 1) != 1:
        raise ModelError(
            f"{file} is one part of several.", next_step="Join them first, as llama-gguf-split --merge does."
        )
    alignment = _whole(values, "general.alignment", _ALIGNMENT)
    if alignment not in _ALIGNMENTS:
        raise ValueError(f"its alignment is {alignment}")
    pairs_end, found = at, []
    for _ in range(count):
        name, at = _text(data, at)
        dimensions, at = _number(data, at, "<I")
        shape = struct.unpack_from(f"<{dimensions}Q", data, at)
        kind, offset = struct.unpack_from("<IQ", data, at + 8 * dimensions)
        at += 8 * dimensions + 12
        found.append((name, shape[::-1], kind, offset))
    if at > len(data):
        raise ValueError("it ends within its header")
    start = aligned(at, alignment)
    tensors = tuple(
        GgufTensor(name, tuple(shape), kind, start + offset, stored_size(shape, kind))
        for name, shape, kind, offset in found
    )
    if any(t.offset + t.size > len(data) for t in tensors):
        raise ValueError("it ends before its last tensor")
    return GgufLayout(file, version, pairs, pairs_end, alignment, values, tensors)


def _whole(values: Mapping[str, str | int], key: str, default: int) -> int:
    """The whole number that a pair says. Raises ``ValueError`` for a text."""
    value = values.get(key, default)
    if isinstance(value, str):
        raise ValueError(f"its {key} is {value[:80]!r}")
    return value


def aligned(at: int, alignment: int) -> int:
    """The next multiple of ``alignment``."""
    return -(-at // alignment) * alignment


def stored_size(shape: tuple[int, ...], kind: int) -> int:
    """Bytes that a tensor of this shape takes in this type."""
    gguf = library()
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    return int(prod(shape) // block * size)


def _number(data: memoryview, at: int, form: str) -> tuple[int, int]:
    return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)


def _text(data: memoryview, at: int) -> tuple[str, int]:
    length, at = _number(data, at, "<Q")
    return bytes(data[at : at + length]).decode(), at + length


def _after(data: memoryview, at: int, kind: int) -> int:
    """Where the value that begins at ``at`` ends. Raises ``RecursionError`` where arrays are nested without an end."""
    if kind == _STRING:
        length, at = _number(data, at, "<Q")
        return at + length
    if kind != _ARRAY:
        return at + _SIZES[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner in _SIZES:
        return int(at + count * _SIZES[inner])
    for _ in range(count):
        at = _after(data, at, inner)
    return at
