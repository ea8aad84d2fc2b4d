"""The search for culprits, with judges that know the truth."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.bisect import SearchLimits, find_culprits

FACTS = range(200)


def judge(*culprits: int) -> Callable[[Sequence[int]], bool]:
    return lambda items: not set(culprits) & set(items)


@given(st.sets(st.integers(0, 199), min_size=1, max_size=3))
def test_up_to_three_culprits_among_two_hundred_cost_at_most_forty_builds(planted: set[int]) -> None:
    found = find_culprits([], FACTS, judge(*planted), SearchLimits(builds=40))
    assert (set(found.culprits), found.why) == (planted, "")
    assert set(found.good) == set(FACTS) - planted
    assert found.builds <= 40


def test_the_builds_are_those_that_halving_needs() -> None:
    source = random.Random(7)
    spent = []
    for _ in range(200):
        planted = source.sample(FACTS, 3)
        spent.append(find_culprits([], FACTS, judge(*planted), SearchLimits()).builds)
    assert max(spent) <= 3 * (8 + 1) + 1


def test_of_two_that_contradict_each_other_the_later_one_is_to_blame() -> None:
    found = find_culprits([], FACTS, lambda items: not {20, 150} <= set(items), SearchLimits())
    assert (found.culprits, found.why) == ((150,), "")
    assert 20 in found.good


def test_what_is_trusted_is_not_searched_unless_it_fails_itself() -> None:
    trusted, new = list(range(150)), list(range(150, 200))
    found = find_culprits(trusted, new, judge(160), SearchLimits())
    assert found.culprits == (160,)
    assert found.builds <= 1 + 6 + 1 + 1
    assert find_culprits(trusted, new, judge(3), SearchLimits()).culprits == (3,)


@pytest.mark.parametrize(
    ("passes", "why", "builds"),
    [
        (lambda items: False, "3 facts were found and the rest still fails", 27),
        (lambda items: len(items) <= 50, "5 facts were found and the rest still fails", 45),
        (judge(*range(0, 200, 7)), "5 facts were found and the rest still fails", 45),
    ],
)
def test_a_batch_that_is_bad_as_a_whole_is_given_up(
    passes: Callable[[Sequence[int]], bool], why: str, builds: int
) -> None:
    found = find_culprits([], FACTS, passes, SearchLimits(builds=100))
    assert found.why == why
    assert found.builds <= builds


@pytest.mark.parametrize("most", [199, 198, 196])
def test_facts_that_are_no_worse_than_the_rest_are_not_blamed_for_their_number(most: int) -> None:
    found = find_culprits([], FACTS, lambda items: len(items) <= most, SearchLimits())
    left_out = 200 - most
    assert found.why == f"the batch passes without any {left_out} of its facts: their number or the recipe is to blame"
    assert found.builds <= 40


@pytest.mark.parametrize(("facts", "most"), [(9, 5), (9, 6), (9, 4), (6, 3), (5, 3), (4, 2)])
def test_nor_in_a_batch_of_few(facts: int, most: int) -> None:
    found = find_culprits([], range(facts), lambda items: len(items) <= most, SearchLimits())
    assert "their number or the recipe" in found.why
    assert len(found.culprits) == facts - most


@pytest.mark.slow
@given(st.integers(2, 12), st.data())
def test_in_a_batch_of_few_the_bad_and_the_contradictory_are_found(facts: int, data: st.DataObject) -> None:
    planted = data.draw(st.sets(st.integers(0, facts - 1), min_size=1, max_size=min(2, facts - 1)))
    found = find_culprits([], range(facts), judge(*planted), SearchLimits())
    assert (set(found.culprits), found.why) == (planted, "")
    first, second = sorted(data.draw(st.permutations(range(facts)))[:2])
    found = find_culprits([], range(facts), lambda items: not {first, second} <= set(items), SearchLimits())
    assert (found.culprits, found.why) == ((second,), "")


@given(st.sets(st.integers(0, 199), min_size=1, max_size=3))
def test_harm_that_adds_up_is_blamed_on_those_who_do_most_of_it(planted: set[int]) -> None:
    harm = {fact: 40.0 if fact in planted else 0.1 for fact in FACTS}
    found = find_culprits([], FACTS, lambda items: sum(harm[i] for i in items) <= 30.0, SearchLimits())
    assert (set(found.culprits), found.why) == (planted, "")


def test_a_search_never_builds_more_than_it_may() -> None:
    asked: list[int] = []

    def passes(items: Sequence[int]) -> bool:
        asked.append(len(items))
        return judge(10, 80, 150)(items)

    found = find_culprits([], FACTS, passes, SearchLimits(builds=12))
    assert len(asked) == found.builds == 12
    assert found.why == "12 trial builds did not find them all"


def test_two_facts_of_which_none_passes_blame_nobody() -> None:
    assert find_culprits([], [1, 2], lambda items: False, SearchLimits()).why == "no fact passes"
