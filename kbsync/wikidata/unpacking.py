"""Unpacks an answer piece by piece, and believes its bytes more than its header.

Gateways name gzip ``x-gzip``, pack an answer without saying so, and unpack one without taking the header away.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

_GZIP = b"\x1f\x8b"
_ZLIB = frozenset({b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"})
_PIECE = 2**20
"""Most bytes that come out at once, so that a small answer can't fill the memory before it is measured."""
LAYERS = 2
"""How often an answer may be packed; two gateways may each pack it."""


class Damaged(ValueError):
    """The packed bytes are damaged, or end too early."""


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of an answer, unpacked where they begin as gzip or zlib do.

    Neither JSON nor HTML begins so, in whatever encoding.

    Raises:
        Damaged: The packed bytes are damaged, or end too early.
    """
    for _ in range(LAYERS):
        pieces = _layer(pieces)
    yield from pieces


def _layer(pieces: Iterable[bytes]) -> Iterator[bytes]:
    pieces = iter(pieces)
    start = b""
    while len(start) < len(_GZIP) and (piece := next(pieces, None)) is not None:
        start += piece
    if not (start.startswith(_GZIP) or start[:2] in _ZLIB):
        yield start
        yield from pieces
        return
    unpacker = _unpacker()
    try:
        for piece in chain((start,), pieces):
            packed = piece
            while packed:
                if unpacker.eof:  # gzip may consist of several parts
                    unpacker = _unpacker()
                yield unpacker.decompress(packed, _PIECE)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
        yield unpacker.flush()
    except zlib.error as error:
        raise Damaged(f"the packed answer is damaged: {error}") from error
    if not unpacker.eof:
        raise Damaged("the packed answer ends too early")


def _unpacker() -> zlib._Decompress:
    """Finds out by itself whether the bytes are gzip or zlib."""
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
