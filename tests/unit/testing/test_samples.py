"""Samples are sound, differ where a test says so, and hold what is hard to store."""

from __future__ import annotations

import json
from dataclasses import fields

from kbsync.domain.canonical import canonical_json
from kbsync.domain.fact import value_hash
from kbsync.testing import samples


def test_what_a_test_names_is_what_differs() -> None:
    statement = samples.statement(2, "Q9", subject="Q30", property="P36")
    assert (statement.id, statement.subject, statement.property) == ("Q30$2", "Q30", "P36")
    assert statement.value == samples.item_value("Q9")
    record = samples.record(statement, subject="Q30", revision=7)
    assert (record.head.id, record.head.revision, record.statements) == ("Q30", 7, (statement,))
    assert samples.state("Q2", "Q1").value_hash == value_hash((samples.item_value("Q1"), samples.item_value("Q2")))


def test_a_fact_is_believed_where_it_is_said_to_be() -> None:
    assert samples.fact().believed is None
    believed = samples.fact(believed=True)
    assert believed.believed is not None and believed.believed_at is not None
    assert believed.pending


def test_a_plan_has_a_request_for_each_target() -> None:
    plan = samples.edit_plan("Ada", "Bob", predecessor=3)
    assert [request.target for request in plan.requests] == ["Ada", "Bob"]
    assert plan.predecessor == 3
    assert plan.build_hash != samples.edit_plan("Ada").build_hash


def test_a_manifest_has_something_in_every_field_but_one() -> None:
    manifest = samples.make_manifest({"weight": "f" * 64})
    assert [field.name for field in fields(manifest) if not getattr(manifest, field.name)] == ["guards"]
    stored = canonical_json(manifest)
    assert json.loads(stored)["report"]["layers"][0]["residual_before"] == 1e-300
    assert "\u2028" in json.loads(stored)["requests"][0]["base_answer"]


def test_an_evaluation_is_of_its_version() -> None:
    assert [samples.evaluation(number).version for number in (1, 2)] == [1, 2]
    assert not samples.evaluation(1, passed=False).decision.passed
    assert "\x00" in samples.verdict(samples.fact().key).evidence.greedy
