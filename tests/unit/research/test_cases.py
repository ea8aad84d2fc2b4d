"""The split shares nothing between its parts, and a selection is what it says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbsync.domain.answer_text import normalise
from kbsync.domain.errors import DataError
from kbsync.research.cases import Case, Part, cases_hash, select, split
from kbsync.research.counterfact import read_counterfact
from kbsync.research.zsre import read_zsre
from tests.support.paths import DATA as REFERENCE

DATA = REFERENCE / "counterfact"


def case(number: int, subject: str, *, target: str = "Rome", neighbours: tuple[str, ...] = ()) -> Case:
    return Case(
        benchmark="test",
        id=str(number),
        subject=subject,
        template="{} is in",
        target=target,
        paraphrases=(f"Where is {subject}? In",),
        neighbours=neighbours,
    )


def shared(dev: list[Case], test: list[Case]) -> set[str]:
    """Subjects and prompts that stand on both sides."""

    def everything(cases: list[Case]) -> set[str]:
        return {normalise(text) for c in cases for text in (c.subject, c.prompt, *c.paraphrases, *c.neighbours)}

    return everything(dev) & everything(test)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_no_subject_and_no_prompt_is_on_both_sides(pairs: list[tuple[int, int]]) -> None:
    """Also where cases hang together in a chain: the neighbour of one is the subject of the next."""
    cases = [case(n, f"Town {s}", neighbours=(f"Town {b} is in",)) for n, (s, b) in enumerate(pairs)]
    dev, test = split(cases, Part.DEV, dev_share=0.5), split(cases, Part.TEST, dev_share=0.5)
    assert not shared(dev, test)
    assert sorted(c.id for c in dev + test) == sorted(c.id for c in cases)
    assert split(cases, Part.ALL) == cases


def test_the_split_does_not_depend_on_the_order_of_the_file() -> None:
    cases = [case(n, f"Town {n % 70}", neighbours=(f"Village {n % 90} is in",)) for n in range(200)]
    shuffled = random.Random(1).sample(cases, len(cases))
    dev = {c.id for c in split(cases, Part.DEV)}
    assert {c.id for c in split(shuffled, Part.DEV)} == dev
    assert 0 < len(dev) < 200


def test_a_smaller_selection_begins_a_larger_one_and_another_seed_draws_others() -> None:
    cases = [case(n, f"Town {n}") for n in range(50)]
    large = select(cases, 40)
    assert select(reversed(cases), 10) == large[:10]
    assert [c.id for c in large] != [c.id for c in cases[:40]]
    assert select(cases, 40, seed=1) != large
    assert cases_hash(large) != cases_hash(large[::-1])


def test_of_two_answers_to_one_prompt_only_one_is_selected() -> None:
    cases = [case(n, "Lyon", target=f"Land {n}") for n in range(5)] + [case(9, "Nice")]
    assert sorted(c.subject for c in select(cases, None)) == ["Lyon", "Nice"]
    with pytest.raises(DataError, match="3 cases were asked for, 2 of 6 can be edited together"):
        select(cases, 3)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_the_real_files_split_cleanly_and_into_useful_sizes() -> None:
    counterfact = list(read_counterfact(DATA / "counterfact-edit-10000.json.gz"))
    questions = list(read_zsre(DATA / "zsre_mend_train-1k.json.gz"))
    for cases in (counterfact, questions):
        dev, test = split(cases, Part.DEV), split(cases, Part.TEST)
        assert not shared(dev, test)
        assert len(dev) + len(test) == len(cases)
        assert 0.15 < len(dev) / len(cases) < 0.25
