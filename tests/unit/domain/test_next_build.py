"""What a cycle does next, decided from data alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.gate import GateDecision, Metric, Reason, Threshold, policy_hash
from kbsync.domain.next_build import (
    MAX_DOUBLINGS,
    BackToBase,
    Build,
    Held,
    NextStep,
    Nothing,
    Refusals,
    Rejudge,
    advice,
    decide,
    may_blame_facts,
)
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.plan import EditPlan, EditRequest, make_plan
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.version import Evaluation, Version, VersionState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAUSE = timedelta(hours=6)
POLICY = (Threshold(metric="efficacy", at_least=0.9, min_samples=10),)
STRICTER = (Threshold(metric="efficacy", at_least=0.95, min_samples=10),)


def request(number: int) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{number}"), PropertyId("P36")),
        subject=f"country {number}",
        template="The capital of {} is",
        target=f"town {number}",
        value_hash=str(number),
        revision=1,
    )


def plan(wanted: int, held: int = 0) -> EditPlan:
    """``wanted`` facts are to be written; ``current`` holds the first ``held`` of all."""
    active = {request(n).key: request(n) for n in range(1, held + 1)}
    return make_plan(
        [request(n) for n in range(1, wanted + 1)],
        active,
        base_fingerprint="base",
        recipe_fingerprint="recipe",
        predecessor=1 if held else 0,
    )


def version(state: VersionState) -> Version:
    return Version(
        number=7,
        base_fingerprint="base",
        build_hash="build",
        plan_hash="plan",
        state=state,
        version_hash=None if state is VersionState.BUILDING else "hash",
        predecessor=0,
        created_at=NOW,
    )


def evaluation(samples: int = 20, policy: tuple[Threshold, ...] = POLICY) -> Evaluation:
    return Evaluation(
        version=7,
        metrics=(Metric(name="efficacy", value=0.5, base=0.0, samples=samples),) if samples else (),
        decision=GateDecision(passed=False, reasons=(Reason(metric="efficacy", holds=False, text="too low"),)),
        outcomes=(),
        at=NOW,
        policy=policy_hash(policy),
    )


def refused(in_a_row: int, ago: timedelta = timedelta(hours=1)) -> Refusals:
    return Refusals(in_a_row=in_a_row, newest_at=NOW - ago if in_a_row else None)


def step(
    planned: EditPlan,
    state: VersionState | None = None,
    measured: Evaluation | None = None,
    refusals: Refusals | None = None,
    policy: tuple[Threshold, ...] = POLICY,
) -> NextStep:
    known = version(state) if state else None
    return decide(planned, known, measured, refusals or refused(0), policy=policy, pause=PAUSE, now=NOW)


def test_a_plan_without_changes_asks_for_nothing() -> None:
    assert isinstance(step(plan(2, held=2)), Nothing)


def test_without_a_fact_to_write_current_goes_back_to_the_base_even_after_refusals() -> None:
    assert isinstance(step(plan(0, held=2), refusals=refused(5)), BackToBase)


@pytest.mark.parametrize("state", [None, VersionState.BUILDING, VersionState.PROMOTED])
def test_facts_that_differ_are_built(state: VersionState | None) -> None:
    assert step(plan(2, held=1), state) == Build(reason="1 facts differ from what current holds")


@pytest.mark.parametrize("state", [VersionState.REFUSED, VersionState.ROLLED_BACK])
def test_what_was_refused_or_rolled_back_is_not_built_again(state: VersionState) -> None:
    held = step(plan(2), state, evaluation())
    assert held == Held(version=version(state), reason=f"version 7 holds these facts and was {state.value}")


def test_a_refusal_by_another_policy_is_judged_anew_first() -> None:
    again = step(plan(2), VersionState.REFUSED, evaluation(), policy=STRICTER)
    assert isinstance(again, Rejudge) and again.version.number == 7
    judged = evaluation().judged_by(STRICTER)
    assert isinstance(step(plan(2), VersionState.REFUSED, judged, policy=STRICTER), Held)


def test_a_version_that_could_not_be_asked_has_nothing_to_judge_anew() -> None:
    assert isinstance(step(plan(2), VersionState.REFUSED, evaluation(samples=0), policy=STRICTER), Held)


def test_a_rolled_back_version_stays_held_whatever_the_policy_is() -> None:
    assert isinstance(step(plan(2), VersionState.ROLLED_BACK, evaluation(), policy=STRICTER), Held)


def test_after_two_refusals_the_next_build_waits_and_says_until_when() -> None:
    assert isinstance(step(plan(2), refusals=refused(1)), Build)
    held = step(plan(2), refusals=refused(2))
    assert held == Held(reason="2 refusals in a row; the next build waits until 2026-03-01 17:00 UTC")
    assert isinstance(step(plan(2), refusals=refused(2, ago=PAUSE)), Build)


def test_a_candidate_that_is_built_waits_for_nothing() -> None:
    built = step(plan(2), VersionState.CANDIDATE, refusals=refused(9))
    assert built == Build(reason="version 7 holds these facts and is built")


def test_the_wait_doubles_with_each_refusal_up_to_a_bound() -> None:
    waits = [refused(n, ago=timedelta(0)).next_build_at(PAUSE) for n in range(12)]
    assert waits[:2] == [None, None]
    assert [at and at - NOW for at in waits[2:5]] == [PAUSE, 2 * PAUSE, 4 * PAUSE]
    assert waits[2 + MAX_DOUBLINGS] == waits[-1] == NOW + 64 * PAUSE
    assert refused(5).next_build_at(timedelta(0)) is None


def test_facts_are_to_blame_only_where_there_are_several_and_enough_was_asked() -> None:
    assert may_blame_facts(plan(2), evaluation(), POLICY)
    assert not may_blame_facts(plan(1), evaluation(), POLICY)
    assert not may_blame_facts(plan(2), evaluation(samples=3), POLICY)
    optional = (replace(POLICY[0], optional=True),)
    assert may_blame_facts(plan(2), evaluation(samples=3), optional)


@pytest.mark.parametrize(
    ("refused", "phrasings", "advised"),
    [
        (("generalization",), (), True),
        (("generalization", "efficacy"), (), True),
        (("efficacy",), (), False),
        (("generalization",), (FramedPhrasing(template="Q: Capital of {}?\nA:"),), False),
    ],
)
def test_facts_in_one_phrasing_are_the_recipe_s_fault(
    refused: tuple[str, ...], phrasings: tuple[FramedPhrasing, ...], advised: bool
) -> None:
    requests = [replace(request(n), phrasings=phrasings) for n in (1, 2)]
    reasons = tuple(Reason(metric=name, holds=False, text=name) for name in refused)
    decision = GateDecision(passed=False, reasons=reasons)
    assert ('phrasings = "all"' in advice(requests, decision)) is advised
    built = make_plan(requests, {}, base_fingerprint="base", recipe_fingerprint="recipe", predecessor=0)
    judged = replace(evaluation(), decision=decision)
    assert may_blame_facts(built, judged, POLICY) is (not advised or len(refused) > 1)


def test_there_is_no_advice_without_facts_or_after_a_pass() -> None:
    passed = GateDecision(passed=True, reasons=(Reason(metric="generalization", holds=True, text=""),))
    failed = GateDecision(passed=False, reasons=(Reason(metric="generalization", holds=False, text=""),))
    assert advice([request(1)], passed) == advice([], failed) == ""
