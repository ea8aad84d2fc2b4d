"""Answers are unpacked by what their bytes are, within bounds."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from kbsync.domain.errors import SourceDown
from kbsync.wikidata.responses import TooLarge
from kbsync.wikidata.unpacking import Damaged, unpacked
from tests.support import scripted_server as on
from tests.support.scripted_server import ScriptedServer
from tests.support.sparql_clients import GOOD, QUERY, Ask

TEXT = b'{"results": {"bindings": []}}' * 40


def drip(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


@pytest.mark.parametrize(
    "packed",
    [
        TEXT,
        gzip.compress(TEXT),
        zlib.compress(TEXT),
        gzip.compress(gzip.compress(TEXT)),
        gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
        b"{",
        b"",
    ],
    ids=["plain", "gzip", "zlib", "gzip twice", "gzip in two parts", "one byte", "nothing"],
)
def test_what_is_packed_is_unpacked_however_it_arrives(packed: bytes) -> None:
    whole = TEXT if len(packed) > 1 else packed
    assert b"".join(unpacked([packed])) == whole
    assert b"".join(unpacked(drip(packed))) == whole


@pytest.mark.parametrize("cut", [3, 20, -4])
def test_what_ends_too_early_is_damaged(cut: int) -> None:
    with pytest.raises(Damaged, match="too early"):
        list(unpacked([gzip.compress(TEXT)[:cut]]))


def test_what_is_damaged_is_said() -> None:
    with pytest.raises(Damaged, match="damaged"):
        list(unpacked([b"\x1f\x8b" + TEXT]))


def test_a_small_answer_comes_out_in_pieces_of_bounded_size() -> None:
    sizes = [len(piece) for piece in unpacked([gzip.compress(bytes(2**24))])]
    assert sum(sizes) == 2**24 and max(sizes) <= 2**20


def body() -> bytes:
    return on.results(on.GOOD_ROW)


@pytest.mark.parametrize("header", ["gzip", "x-gzip", "GZIP", ""])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_the_bytes_are_believed_and_not_the_header(client_of: Ask, header: str, packed: bool) -> None:
    data = gzip.compress(body()) if packed else body()
    headers = {"Content_Encoding": header} if header else {}
    with ScriptedServer(on.http(200, data, **headers)) as server:
        assert client_of(server.endpoint).select(QUERY) == GOOD


@pytest.mark.slow
def test_damage_is_tried_again_and_a_bomb_is_not_unpacked(client_of: Ask) -> None:
    torn = on.http(200, gzip.compress(body())[:-8], Content_Encoding="gzip")
    with ScriptedServer(torn) as server, pytest.raises(SourceDown, match=r"asked 3 times: the packed answer ends"):
        client_of(server.endpoint).select(QUERY)
    bomb = on.http(200, gzip.compress(bytes(2**24)))
    with ScriptedServer(bomb) as server, pytest.raises(TooLarge, match="more than 1000000 bytes"):
        client_of(server.endpoint, max_bytes=1_000_000).select(QUERY)
