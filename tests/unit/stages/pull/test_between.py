"""Asking for what lies between two looks."""

from __future__ import annotations

from kbsync.domain.statement import ItemId
from kbsync.ports import NAMES
from kbsync.stages.pull.between import Between
from kbsync.testing.fake_source import FakeSource
from tests.support.stage_world import CAPITAL, HEAD, statement

ITALY, BAIT = ItemId("Q38"), ItemId("Q999")


def three_revisions() -> tuple[FakeSource, list[int]]:
    """The capital changes and changes back; the name does not."""
    source = FakeSource()
    rome, bonn = statement("Q38", "P36", "Q220"), statement("Q38", "P36", "Q586")
    heads = [source.set_item("Q38", label="Italy", statements=[one]) for one in (rome, bonn, rome)]
    return source, [head.revision for head in heads]


def test_what_was_different_in_between_is_told_from_what_was_not() -> None:
    source, (first, _, last) = three_revisions()
    between = Between(source, [CAPITAL, HEAD])
    between.ask(((ITALY, first),), ((ITALY, last),))
    assert not between.of(CAPITAL)(ITALY, first, last)
    assert between.of(HEAD)(ITALY, first, last)
    assert between.of(NAMES)(ITALY, first, last)


def test_nothing_is_known_of_what_was_not_asked_or_what_the_source_does_not_know() -> None:
    source, (first, second, last) = three_revisions()
    between = Between(source, [CAPITAL])
    assert not between.of(NAMES)(ITALY, first, last)
    between.ask(((ITALY, first),), ((ITALY, last), (BAIT, 1)))
    assert not between.of(NAMES)(ITALY, first, last)
    source.remembers = False
    between.ask(((ITALY, first),), ((ITALY, second),))
    assert not between.of(NAMES)(ITALY, first, second)
