"""``kbsync bench scale-out``: what it writes. The run itself needs minutes and two idle cores."""

from __future__ import annotations

from kbsync.research.scale_out import NOT_MEASURED, facts


def test_no_two_facts_have_the_same_prompt() -> None:
    made = facts(1000)
    assert len({fact.prompt for fact in made}) == 1000
    assert facts(10) == made[:10]


def test_what_is_not_measured_is_named_with_its_target() -> None:
    assert all(target.startswith("<= ") for _, target in NOT_MEASURED.values())
