"""How a version was judged, as a file: without the single answers, and every byte counts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kbsync.checkpoints.evaluation_file import decode, encode
from kbsync.testing.samples import evaluation


def test_an_evaluation_comes_back_without_its_outcomes() -> None:
    stored = evaluation(3)
    assert stored.outcomes
    assert decode(encode("a" * 64, stored), "a" * 64) == replace(stored, outcomes=())


def test_the_file_says_whose_it_is() -> None:
    envelope = json.loads(encode("a" * 64, evaluation(3)))
    assert envelope["version_hash"] == "a" * 64
    with pytest.raises(ValueError, match="another version's"):
        decode(encode("a" * 64, evaluation(3)), "b" * 64)


@pytest.mark.slow
def test_a_change_of_any_byte_shows() -> None:
    data = encode("a" * 64, evaluation(3))
    for position in range(len(data)):
        wrong = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(ValueError):
            decode(wrong, "a" * 64)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"evaluation":{}}', b'{"evaluation":3}'])
def test_what_is_no_evaluation(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not an evaluation"):
        decode(data, "a" * 64)
