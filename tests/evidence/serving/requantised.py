"""A GGUF file rounded again, as people do who run llama-quantize after the edit.

The quantiser is ggml's own, from the library that the package xllamacpp brings; it has no ``llama_model_quantize``, so
which tensor gets which type is told here: ``llama_tensor_get_type`` in llama.cpp's ``src/llama-quant.cpp``, for dense
models and without an importance matrix. For every type below and Gemma 3 270M the result was the file that
``llama_model_quantize`` wrote (the library of node-llama-cpp 3.21.1), byte for byte in every tensor.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kbsync.model.gguf_layout import (
    GgufLayout,
    GgufTensor,
    aligned,
    library,
    mapped,
    read_layout,
    stored_size,
    values_of,
)

MIXED = {"q4_k_m": "Q4_K", "q5_k_m": "Q5_K", "q3_k_m": "Q3_K", "q2_k": "Q2_K"}
"""Types of files whose tensors have several types → the type of most."""
_COARSER = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""What a matrix gets whose rows are no whole blocks of 256."""
_ROWS = 8192


def requantised(file: Path, target: Path, type: str) -> Path:
    """Write every matrix of ``file`` as a file of ``type`` has it (``q4_0``, ``q4_k_m``, …); all else is copied."""
    layout = read_layout(file)
    return rewritten(layout, target, lambda tensor: kind_of(layout, tensor, type) if len(tensor.shape) == 2 else "")


def rewritten(layout: GgufLayout, target: Path, kind: Callable[[GgufTensor], str]) -> Path:
    """Copy a file with other types.

    Args:
        layout: The file.
        target: The new file.
        kind: A tensor's new type; empty: it is copied.
    """
    types = library().GGMLQuantizationType
    kinds = [int(types[name]) if (name := kind(tensor)) else tensor.kind for tensor in layout.tensors]
    with mapped(layout.file) as data, target.open("wb") as out:
        out.write(data[: layout.pairs_end])
        out.write(_infos(layout, kinds))
        out.write(b"\0" * (-out.tell() % layout.alignment))
        for tensor, number in zip(layout.tensors, kinds, strict=True):
            if number == tensor.kind:
                out.write(data[tensor.offset : tensor.offset + tensor.size])
            else:
                for at in range(0, tensor.shape[0], _ROWS):
                    out.write(_quantised(values_of(data, tensor, slice(at, at + _ROWS)), number))
            out.write(b"\0" * (-out.tell() % layout.alignment))
    return target


def kind_of(layout: GgufLayout, tensor: GgufTensor, type: str) -> str:
    """What ``llama-quantize`` makes of a matrix in a file of this type."""
    columns, most = tensor.shape[1], MIXED.get(type, type.upper())
    has_output = any(t.name == "output.weight" for t in layout.tensors)
    if tensor.name == "output.weight" or (tensor.name == "token_embd.weight" and not has_output):
        kind = "Q8_0" if most == "Q8_0" else "Q6_K"
    elif tensor.name == "token_embd.weight" or type not in MIXED:
        kind = most
    else:
        _, block, part, _ = tensor.name.split(".")
        kind = _mixed(type, int(block), layout.blocks, part, _queries_per_key(layout)) or most
    return _COARSER.get(kind, kind) if columns % 256 else kind


def _mixed(type: str, block: int, blocks: int, part: str, queries: int) -> str:
    """The type of a block's matrix where it is another than most have."""
    more = block < blocks // 8 or block >= 7 * blocks // 8 or (block - blocks // 8) % 3 == 2
    match type, part:
        case (("q4_k_m" | "q5_k_m"), ("attn_v" | "ffn_down")):
            return "Q6_K" if more else ""
        case "q3_k_m", "attn_v":
            return "Q5_K" if block < 2 else "Q4_K"
        case "q3_k_m", "ffn_down":
            return "Q5_K" if block < blocks // 16 else "Q4_K"
        case "q3_k_m", "attn_output":
            return "Q4_K"
        case "q2_k", "attn_v":
            return "Q4_K" if queries >= 4 else "Q3_K"
        case "q2_k", ("ffn_down" | "attn_output"):
            return "Q3_K"
    return ""


def _queries_per_key(layout: GgufLayout) -> int:
    name = f"{layout.architecture}.attention.head_count"
    heads = int(layout.values[name])
    return heads // int(layout.values.get(f"{name}_kv", heads))


def _quantised(values: np.ndarray, number: int) -> bytes:
    """Rows of a matrix in a type of ggml."""
    types = library().GGMLQuantizationType
    if number in (types.F32, types.F16):
        return values.astype(np.float32 if number == types.F32 else np.float16).tobytes()
    rows, columns = values.shape
    source = np.ascontiguousarray(values, np.float32)
    made = np.empty(stored_size((rows, columns), number), np.uint8)
    pointer = ctypes.POINTER(ctypes.c_float)
    size = _ggml().ggml_quantize_chunk(
        number, source.ctypes.data_as(pointer), made.ctypes.data_as(ctypes.c_void_p), 0, rows, columns, None
    )
    assert size == made.nbytes
    return made.tobytes()


@cache
def _ggml() -> Any:
    """ggml, as it is built into the package xllamacpp."""
    from xllamacpp import xllamacpp

    loaded = ctypes.CDLL(xllamacpp.__file__)
    loaded.ggml_quantize_chunk.restype = ctypes.c_size_t
    loaded.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_float),
        ctypes.c_void_p,
        *(3 * [ctypes.c_int64]),
        ctypes.c_void_p,
    ]
    return loaded


def _infos(layout: GgufLayout, kinds: list[int]) -> bytes:
    written, offset = b"", 0
    for tensor, kind in zip(layout.tensors, kinds, strict=True):
        name, shape = tensor.name.encode(), tensor.shape[::-1]
        written += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        written += struct.pack("<IQ", kind, offset)
        offset = aligned(offset + stored_size(tensor.shape, kind), layout.alignment)
    return written
