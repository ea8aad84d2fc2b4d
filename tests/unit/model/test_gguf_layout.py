"""GGUF headers that a stranger wrote: each is read, or refused as no GGUF file."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.gguf_layout import read_layout

UINT32, STRING, ARRAY, UINT64 = 4, 8, 9, 10


def text(of: str) -> bytes:
    return struct.pack("<Q", len(of)) + of.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def header(*pairs: bytes, tensors: bytes = b"", count: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, count, len(pairs)) + b"".join(pairs) + tensors


ARCHITECTURE = pair("general.architecture", STRING, text("llama"))
TENSOR = text("output.weight") + struct.pack("<I2QIQ", 2, 4, 2, 0, 0)
WHOLE = header(ARCHITECTURE, pair("llama.block_count", UINT32, struct.pack("<I", 2)), tensors=TENSOR, count=1)
WHOLE += bytes(-len(WHOLE) % 32 + 32)


def read(directory: Path, data: bytes) -> tuple[str, int, list[str]]:
    file = directory / "x.gguf"
    file.write_bytes(data)
    layout = read_layout(file)
    return layout.architecture, layout.blocks, [tensor.type_name for tensor in layout.tensors]


def test_a_whole_header_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == ("llama", 2, ["F32"])


@pytest.mark.hardening
@pytest.mark.parametrize(
    "data",
    [
        header(pair("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 20_000)),
        header(pair("a", ARRAY, struct.pack("<IQ", UINT64, 2**64 - 1))),
        header(text("a") + struct.pack("<IQ", STRING, 2**64 - 1)),
        header(pair("general.alignment", UINT32, struct.pack("<I", 0))),
        header(pair("general.alignment", STRING, text("9" * 300))),
        header(pair("split.count", STRING, text("9" * 5000))),
        header(ARCHITECTURE, pair("llama.block_count", STRING, text("9" * 5000))),
        header(tensors=text("w") + struct.pack("<I", 2**32 - 1), count=1),
        header(tensors=text("w") + struct.pack("<I2QIQ", 2, 2**63, 2**63, 0, 2**63), count=1),
        header(tensors=text("w") + struct.pack("<IQIQ", 1, 0, 999, 0), count=1),
        header(count=2**64 - 1),
        b"",
    ],
)
def test_a_header_that_no_file_has_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelError):
        read(tmp_path, data)


@pytest.mark.hardening
def test_a_header_that_is_broken_anywhere_ends_as_what_it_says_or_as_an_error(tmp_path: Path) -> None:
    chance, refused = random.Random(1), 0
    for _ in range(500):
        data = bytearray(WHOLE)
        for _ in range(chance.choice((1, 1, 4))):
            data[chance.randrange(4, len(data))] = chance.choice((0, 1, 8, 9, 127, 255, chance.randrange(256)))
        try:
            read(tmp_path, bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
        except ModelError:
            refused += 1
    assert 100 < refused < 500
