"""What was seen of facts that fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kbsync.domain.audit import AuditEvent, chain
from kbsync.views.lens import LENS, lens_views

AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(version: int, **facts: dict[str, Any]) -> AuditEvent:
    named = {name.replace("_", " "): seen for name, seen in facts.items()}
    return chain(1, AT, LENS, "test", {"version": version, "facts": named}, "0" * 64)


def look(*sees: str, holds: bool) -> dict[str, Any]:
    return {"layer": 7, "base": ["x"], "sees": list(sees), "holds": holds}


def test_the_newest_look_counts_and_a_version_has_its_own() -> None:
    events = [
        event(1, Q1_P36=look("a", holds=False), Q2_P36=look("b", holds=False)),
        event(2, Q1_P36=look("c", holds=True)),
    ]
    newest = lens_views(events)
    assert (newest["Q1 P36"].version, newest["Q1 P36"].sees) == (2, ("c",))
    assert newest["Q2 P36"].version == 1
    assert set(lens_views(events, 2)) == {"Q1 P36"}
    assert not lens_views([])


def test_it_is_told_in_words() -> None:
    views = lens_views([event(3, Q1_P6=look("Starmer", "Blair", holds=True), Q2_P6=look("x", holds=False))])
    assert str(views["Q1 P6"]) == (
        "the subject's state after layer 7 holds it, and the prompt does not read it out (seen: Starmer, Blair)"
    )
    assert "does not hold it" in str(views["Q2 P6"])
