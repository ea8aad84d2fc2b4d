"""Sabotage on a real transformer, a real SPARQL server and the default gate: it is refused or repaired with the right
reason, and ``current`` answers as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.stages.cycle import CycleOutcome
from tests.evidence.sabotage import attempts
from tests.evidence.sabotage.crowd import BUILDS, CULPRITS, WRONG, crowd
from tests.evidence.sabotage.site import Site, site, trained


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("model"))


@pytest.fixture
def attacked(tmp_path: Path, model: Path) -> Iterator[Site]:
    with site(tmp_path / "site", model) as made:
        yield made


def goes_live(after: attempts.Aftermath, attacked: Site) -> None:
    """The honest change is in use, and nothing else is answered differently."""
    assert after.outcome == CycleOutcome.PROMOTED
    assert (attacked.current(), len(after.wanted)) == (attacked.first + 1, 2)
    assert after.contained, after.changed - after.wanted


def stays(after: attempts.Aftermath, attacked: Site) -> None:
    """The version from before is still in use and gives the same answers."""
    assert (attacked.current(), after.changed) == (attacked.first, frozenset())


def test_of_a_contradictory_pair_neither_is_written(attacked: Site) -> None:
    after = attempts.contradiction(attacked)
    goes_live(after, attacked)
    assert set(after.refused) == {"Q90001 P6", "Q90002 P6"}
    assert after.refused["Q90001 P6"].startswith("same prompt, another answer: Q90002 P6 says")


def test_a_flood_about_one_subject_is_left_to_a_person(attacked: Site) -> None:
    after = attempts.flood(attacked)
    goes_live(after, attacked)
    assert len(after.refused) == attempts.FLOOD
    assert {reason.partition(":")[0] for reason in after.refused.values()} == {"a flood"}


def test_a_gibberish_answer_is_left_to_a_person(attacked: Site) -> None:
    after = attempts.gibberish(attacked)
    goes_live(after, attacked)
    (reason,) = after.refused.values()
    assert "looks like no name" in reason


def test_a_lambda_ten_times_too_small_is_refused_and_no_fact_is_blamed_for_it(attacked: Site) -> None:
    after = attempts.weak_covariance(attacked)
    assert (after.outcome, set(after.refused)) == (CycleOutcome.REFUSED, {"batch"})
    assert "norm_growth is" in after.refused["batch"]
    assert "their number or the recipe is to blame" in after.refused["batch"]
    stays(after, attacked)
    assert attempts.right_weight(attacked).outcome == CycleOutcome.PROMOTED


def test_a_damaged_covariance_is_measured_again(attacked: Site) -> None:
    after = attempts.flipped_covariance(attacked)
    goes_live(after, attacked)
    assert after.refused == {}
    with attacked.open() as app:
        assert len(app.artifacts.damaged()) == 1


def test_a_covariance_that_holds_no_numbers_is_refused_until_it_is_measured_again(attacked: Site) -> None:
    after = attempts.poisoned_covariance(attacked)
    assert after.outcome == "error"
    assert "layer 0 is not a square matrix of finite numbers" in after.refused["edit"]
    assert "stats build --anew" in after.refused["edit"]
    stays(after, attacked)
    assert attempts.measure_again(attacked).outcome == CycleOutcome.PROMOTED


def test_three_culprits_among_two_hundred_facts_are_found_and_the_rest_goes_live(tmp_path: Path) -> None:
    mixed = crowd(WRONG, culprits=CULPRITS)
    model = mixed.train(tmp_path / "model")
    with mixed.site(tmp_path / "site", model) as attacked:
        result = attacked.sync()
        assert result.outcome is CycleOutcome.PROMOTED, result.reason
        assert {key.subject for key in result.quarantined} == mixed.culprits
        assert len(result.planned.plan.requests) == WRONG - CULPRITS
        with attacked.open() as app, app.ledger.read() as tx:
            (search,) = [e for e in tx.audit() if e.kind == "bisect"]
        assert len(search.body["trials"]) <= BUILDS
