"""Which facts the attribute lens looks at, and what it puts on the audit trail."""

from __future__ import annotations

from typing import Any

import pytest

from kbsync.domain.version import PromptOutcome
from kbsync.editing.relations.few_shot import Pair
from kbsync.research.lens import look
from kbsync.research.linearity import Linearity
from kbsync.research.relation_pairs import RelationData
from kbsync.views.lens import LENS, lens_views
from tests.support.site import Site, fact

TEMPLATE = "The capital of {} is"
RELATIONS = [
    RelationData("capital", TEMPLATE, tuple(Pair(f"Land {n}", "Oslo" if n % 2 else "Rome") for n in range(1, 8)))
]
MEASURED = {"capital": {"layer": 2, "beta": 1.0}}
WANTED = Linearity(examples=3)


def outcome(number: int, *, right: bool, expected: str = "Oslo", prompt: str = "", group: str = "edited") -> Any:
    return PromptOutcome(
        group=group,
        subject=f"Q{number}",
        property="P36",
        prompt=prompt or TEMPLATE.format(f"Land {number}"),
        expected=expected,
        base_answer="x",
        answer="y",
        base_right=False,
        right=right,
    )


def current(site: Site, *outcomes: PromptOutcome) -> Site:
    number = site.build(fact(1, "Oslo"), fact(2, "Oslo"), outcomes=outcomes)
    site.good("promote", str(number))
    return site


def looked(site: Site, measured: dict[str, dict[str, Any]] = MEASURED) -> int:
    with site.app() as app:
        return look(app, RELATIONS, measured, WANTED)


@pytest.mark.slow
def test_only_facts_that_current_does_not_say_as_they_were_written_are_looked_at(oslo_site: Site) -> None:
    site = current(
        oslo_site,
        outcome(1, right=False),
        outcome(2, right=True),
        outcome(3, right=False, group="neighbour"),
        outcome(4, right=False, prompt="Which city is Land 4's capital?"),
    )
    assert looked(site) == 1
    with site.app() as app, app.ledger.read() as tx:
        views = lens_views(tx.audit(kind=LENS), 1)
    assert set(views) == {"Q1 P36"} and views["Q1 P36"].layer == 2
    said = site.good("explain", "Q1", "P36")
    assert str(views["Q1 P36"]) in " ".join((said.out + said.err).split())


@pytest.mark.slow
def test_nothing_is_looked_at_where_nothing_fails_or_nothing_was_measured(oslo_site: Site) -> None:
    assert looked(oslo_site) == 0, "no version"
    site = current(oslo_site, outcome(1, right=False), outcome(2, right=False))
    assert looked(site, {}) == 0, "its relation was not measured"
    with site.app() as app, app.ledger.read() as tx:
        assert not list(tx.audit(kind=LENS))


@pytest.mark.slow
def test_an_answer_that_the_state_holds_is_told_from_one_that_it_does_not(oslo_site: Site) -> None:
    """The base of this site says Oslo of everything: a map from its states leads to Oslo, not to Rome."""
    site = current(oslo_site, outcome(3, right=False), outcome(4, right=False, expected="Rome"))
    assert looked(site) == 2
    with site.app() as app, app.ledger.read() as tx:
        views = lens_views(tx.audit(kind=LENS))
    assert views["Q3 P36"].holds and not views["Q4 P36"].holds
