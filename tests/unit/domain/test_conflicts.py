"""Facts with the same prompt: who stays, and who is refused."""

from __future__ import annotations

from kbsync.domain.conflicts import RightFact, conflicts
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.statement import ItemId, PropertyId


def key(item: int) -> FactKey:
    return FactKey(ItemId(f"Q{item}"), PropertyId("P6"))


def rewrite(target: str, *templates: str, subject: str = "Georgia") -> Rewrite:
    first, *others = templates or ("{} is led by",)
    return Rewrite(first, subject, target, phrasings=tuple(FramedPhrasing(template=t, end="") for t in others))


def test_any_phrasing_that_two_facts_share_is_a_conflict() -> None:
    requests = {key(1): rewrite("A", "{} is led by", "Who leads {}?"), key(2): rewrite("B", "Who leads {}?")}
    assert set(conflicts(requests, {}, [])) == {key(1), key(2)}
    assert conflicts(requests | {key(2): rewrite("B", "Who rules {}?")}, {}, []) == {}


def test_the_same_answer_is_no_conflict() -> None:
    assert conflicts({key(1): rewrite("A"), key(2): rewrite("a")}, {}, []) == {}


def test_a_fact_does_not_conflict_with_itself_in_other_words() -> None:
    assert conflicts({key(1): rewrite("B")}, {key(1): rewrite("A")}, []) == {}


def test_what_is_held_is_never_refused_whatever_the_base_has_right() -> None:
    right = RightFact(key=key(9), subject="Georgia", templates=("{} is led by",), names=("B",))
    held = {key(1): rewrite("A")}
    assert conflicts(held, held, [right]) == {}
    assert set(conflicts({**held, key(2): rewrite("C")}, held, [right])) == {key(2)}
