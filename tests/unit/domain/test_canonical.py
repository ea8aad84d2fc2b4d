"""The same value gives the same bytes and the same hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.canonical import CanonicalJson, canonical_json, content_hash, later, plain, timestamp


@pytest.mark.slow
@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.booleans()), max_size=5))
def test_the_canonical_form_does_not_depend_on_the_order_of_keys(data: dict[str, object]) -> None:
    backwards = dict(reversed(list(data.items())))
    assert canonical_json(data) == canonical_json(backwards)
    assert content_hash(data) == content_hash(backwards)


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
    with pytest.raises(TypeError):
        canonical_json(object())
    with pytest.raises(ValueError, match="time zone"):
        timestamp(datetime(2024, 1, 1))


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Stored:
    """A dataclass as it was first stored, and with fields that came later."""

    name: str
    weight: float = later(1.0)
    parts: dict[str, int] = later(factory=dict)


def test_every_kind_of_value_has_one_form() -> None:
    moment = datetime(2026, 3, 1, 13, 5, tzinfo=timezone(timedelta(hours=1)))
    assert plain({"at": moment, "colours": {Colour.RED}, "pair": (1, None)}) == {
        "at": "2026-03-01T12:05:00.000000Z",
        "colours": ["red"],
        "pair": [1, None],
    }
    assert canonical_json({"b": "ä", "a": [1.5, True]}) == '{"a":[1.5,true],"b":"ä"}'


class Sign(StrEnum):
    PLUS = "+"


class Pair(NamedTuple):
    left: str
    right: Sign


class Count(int):
    pass


def test_a_value_of_a_subclass_is_written_as_its_base() -> None:
    written = canonical_json([Sign.PLUS, Pair("a", Sign.PLUS), Count(3), {Sign.PLUS: Sign.PLUS}, CanonicalJson("x")])
    assert written == '["+",["a","+"],3,{"+":"+"},"x"]'


def test_a_later_field_changes_no_stored_hash_while_it_has_its_default() -> None:
    assert plain(Stored("x")) == {"name": "x"}
    assert content_hash(Stored("x")) == content_hash({"name": "x"})
    assert plain(Stored("x", weight=2.0, parts={"a": 1})) == {"name": "x", "weight": 2.0, "parts": {"a": 1}}


def test_the_hash_is_sha_256_of_the_json() -> None:
    assert canonical_json([1]).content_hash == content_hash([1])
    assert content_hash([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_times_sort_as_their_texts() -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=n) for n in (0, 9, 10, 10**6, 36 * 10**8)]
    assert sorted(map(timestamp, times)) == list(map(timestamp, times))
