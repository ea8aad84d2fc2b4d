"""What identifies a version, and when its figures are judged anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kbsync.domain.gate import Threshold
from kbsync.testing.samples import evaluation, make_manifest

POLICY = (Threshold(metric="efficacy", at_least=0.9),)
STRICTER = (Threshold(metric="efficacy", at_least=0.999),)


@pytest.mark.parametrize(
    "change",
    [
        {"base_fingerprint": "another"},
        {"build_hash": "0" * 64},
        {"factors": {"w": "2" * 64}},
        {"targets": {}},
        {"covariance_fingerprint": "another"},
        {"libraries": {"torch": "9"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_covers_what_shapes_the_weights(change: dict[str, Any]) -> None:
    manifest = make_manifest({"w": "1" * 64})
    assert replace(manifest, **change).version_hash != manifest.version_hash


def test_the_hash_does_not_cover_dates_timings_and_provenance() -> None:
    manifest = make_manifest({"w": "1" * 64})
    later = replace(
        manifest,
        created_at=manifest.created_at + timedelta(days=1),
        audit_head="0" * 64,
        report=replace(manifest.report, seconds=1e6),
    )
    assert later.version_hash == manifest.version_hash


def test_figures_are_judged_anew_by_another_policy_and_stay_the_same() -> None:
    measured = evaluation(1, value=0.95)
    judged = measured.judged_by(POLICY)
    assert judged.decision.passed and not judged.policy_changed(POLICY)
    assert judged.policy_changed(STRICTER)
    anew = judged.judged_by(STRICTER)
    assert not anew.decision.passed
    assert replace(anew, decision=judged.decision, policy=judged.policy) == judged


def test_a_model_that_could_not_be_asked_stays_refused_under_any_policy() -> None:
    assert not replace(evaluation(1), metrics=()).policy_changed(STRICTER)
