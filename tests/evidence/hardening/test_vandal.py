"""A vandal gets nothing through, and honest people get everything; and the judge would notice if it were not so."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbsync.ledger.ledger import SqlLedger
from tests.evidence.hardening.vandal import (
    ACTS,
    EDITS,
    TRUST,
    VANDALISED,
    Act,
    Edit,
    History,
    Look,
    looks,
    measure,
    play,
)
from tests.support.sqlite_ledger import empty_ledger

HOURS = st.floats(min_value=0, max_value=VANDALISED, allow_nan=False)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Acts that follow each other, each over within half the trust time, and honest edits between and during them."""
    acts, hour = [], draw(st.floats(min_value=-TRUST / 2, max_value=TRUST))
    for kind in draw(st.lists(st.sampled_from(ACTS), min_size=1, max_size=4)):
        lasts = draw(st.floats(min_value=0.01, max_value=TRUST / 2 - 0.01))
        acts.append(Act(kind, hour, lasts, draw(st.sampled_from([0.0, 12.0, 87_600.0]))))
        hour += lasts + draw(st.floats(min_value=0.001, max_value=TRUST))
    edits = [Edit(draw(st.sampled_from(EDITS)), draw(HOURS)) for _ in range(draw(st.integers(0, 3)))]
    return History(tuple(act for act in acts if act.at < VANDALISED), tuple(sorted(edits, key=lambda e: e.at)))


@pytest.mark.hardening
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(histories(), min_size=20, max_size=20), st.integers(min_value=0, max_value=2**32), st.booleans())
def test_no_history_lets_the_vandal_through_or_forgets_the_honest(
    tmp_path_factory: pytest.TempPathFactory, several: list[History], seed: int, remembers: bool
) -> None:
    ledger = SqlLedger(empty_ledger(tmp_path_factory.mktemp("vandal") / "ledger.sqlite3"))
    outcome = play(ledger, several, looks(random.Random(seed), several), remembers=remembers)
    ledger.close()
    assert (outcome.histories, outcome.believed, outcome.missed) == (20, [], [])


@pytest.mark.parametrize("kind", ["value", "retract", "merge", "rename", "alias of object"])
def test_the_judge_notices_what_stays_for_longer_than_the_trust_time(tmp_path: Path, kind: str) -> None:
    ledger = SqlLedger(empty_ledger(tmp_path / "ledger.sqlite3"))
    stays = History((Act(kind, 10, 3 * TRUST),), ())
    moments = [Look(float(hour)) for hour in range(0, 5 * TRUST, 24)]
    outcome = play(ledger, [stays], moments, remembers=True)
    ledger.close()
    assert len(outcome.believed) == 1


def test_the_judge_notices_what_is_missed(tmp_path: Path) -> None:
    ledger = SqlLedger(empty_ledger(tmp_path / "ledger.sqlite3"))
    outcome = play(ledger, [History((), (Edit("value", 1),))], [Look(0.0), Look(2.0)], remembers=True)
    ledger.close()
    assert (len(outcome.missed), outcome.changes, outcome.believed) == (1, 1, [])


def test_the_figures_are_those_that_the_part_owes() -> None:
    figures = measure(1, histories=20, together=10).figures
    assert figures == {"vandal.histories": 20, "vandal.believed": 0, "honest.missed": 0}
