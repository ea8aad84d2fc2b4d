"""The check of the gate, through ``kbsync doctor``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.doctor import check


def demand(cli: Any, samples: int) -> None:
    text = cli.config.read_text(encoding="utf-8")
    text = text.replace('metric = "specificity"', f'metric = "specificity"\nmin_samples = {samples}')
    cli.config.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_a_site_that_is_too_small_for_its_gate_is_told_before_anything_is_built(cli: Any) -> None:
    demand(cli, 50)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "warning" and "at most 5" in found["detail"]
    assert "min_samples" in found["next_step"] and "Watch more facts" in found["next_step"]
    for step in ("pull", "probe", "plan"):
        cli.good(step)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "warning" and "only 3 can be asked" in found["detail"]
    assert "more than 44% of all others" in found["next_step"], "3 of 3, Wilson"


@pytest.mark.slow
def test_what_the_gate_demands_is_what_the_next_version_will_be_asked(cli: Any) -> None:
    demand(cli, 3)
    for step in ("pull", "probe", "plan", "edit"):
        cli.good(step)
    assert check(cli("doctor", "--json"), "gate")["detail"] == "3 facts for specificity, 3 are demanded"
    asked = cli.good("evaluate", "--dry-run", "--json").json
    assert (asked["samples"]["specificity"], asked["short"]) == (3, [])
    figures = {m["name"]: m["samples"] for m in cli.good("evaluate", "--json").json["metrics"]}
    assert {name: count for name, count in asked["samples"].items() if count} == {
        name: figures[name] for name in asked["samples"] if name in figures
    }


def test_more_samples_than_are_asked_can_not_be_demanded(cli: Any) -> None:
    demand(cli, 201)
    found = check(cli("doctor", "--json"), "gate")
    assert found["level"] == "failed" and "gate.neighbours to 201" in found["next_step"]
