"""The comparison of two searches, which other work on the machine must not tilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.research.search_time import CHUNK, Lap, SearchTimes, chunks, take_turns
from kbsync.research.stopwatch import Seconds


def key(subject: int, prop: int = 6) -> FactKey:
    return FactKey(ItemId(f"Q{subject}"), PropertyId(f"P{prop}"))


def test_the_ratio_is_that_of_processor_seconds_over_all_chunks() -> None:
    laps = (
        Lap(facts=2, whole=Seconds(100.0, 6.0), first=Seconds(1.0, 3.0)),
        Lap(facts=2, whole=Seconds(1.0, 2.0), first=Seconds(50.0, 1.0)),
    )
    figure = SearchTimes(laps).figure()
    assert (figure.name, figure.value, figure.unit) == ("search_ratio", 2.0, "times")
    told = SearchTimes(laps).told()
    assert "processor seconds" in told["measured"]
    assert told["laps"][0]["whole"] == {"clock": 100.0, "processor": 6.0}


def test_both_ways_search_the_same_facts_and_take_turns_in_who_begins() -> None:
    order: list[tuple[str, FactKey]] = []

    def way(name: str, seconds: float) -> Callable[[Sequence[FactKey]], Seconds]:
        def search(keys: Sequence[FactKey]) -> Seconds:
            order.extend((name, key) for key in keys)
            return Seconds(0.0, seconds)

        return search

    times = take_turns([[key(n)] for n in range(3)], way("whole", 4.0), way("first", 2.0))
    assert [name for name, _ in order] == ["whole", "first", "first", "whole", "whole", "first"]
    assert {k for name, k in order if name == "whole"} == {k for name, k in order if name == "first"}
    assert times.ratio == pytest.approx(2.0)


def test_facts_about_one_subject_stay_in_one_chunk() -> None:
    keys = [key(subject, prop) for prop in range(1, 4) for subject in range(20)]
    found = chunks(keys, 10_000)
    assert sorted(k for chunk in found for k in chunk) == sorted(keys)
    assert all(CHUNK <= len(chunk) < CHUNK + 3 for chunk in found[:-1])
    places = {subject: {n for n, c in enumerate(found) for k in c if k.subject == subject} for subject, _ in keys}
    assert all(len(numbers) == 1 for numbers in places.values())


def test_so_many_facts_are_compared_as_are_wanted_and_the_same_ones_each_time() -> None:
    keys = [key(subject) for subject in range(100)]
    assert [len(chunk) for chunk in chunks(keys, 2 * CHUNK)] == [CHUNK, CHUNK]
    assert chunks(keys, 2 * CHUNK) == chunks(keys[::-1], 2 * CHUNK)
    assert [len(chunk) for chunk in chunks(keys[:3], 64)] == [3]
    assert chunks([], 64) == []


def test_seconds_are_added_and_taken_apart_by_both_clocks() -> None:
    begun = Seconds.now()
    sum(range(200_000))
    passed = Seconds.now() - begun
    assert passed.clock > 0 and passed.processor > 0
    assert Seconds(1.0, 2.0) + Seconds(3.0, 5.0) - Seconds(1.0, 1.0) == Seconds(3.0, 6.0)
