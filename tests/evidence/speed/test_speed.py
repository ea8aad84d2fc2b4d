"""The speed benchmark on a small random Llama: every suite runs, agrees with the transcription, and is kept."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from kbsync.operations.evidence import Figure
from kbsync.ports import Work
from kbsync.research.result_cache import ResultCache
from kbsync.research.session import SessionOptions, research_session
from tests.evidence.speed import measure as speed
from tests.evidence.speed.facts import ANSWERS, SUBJECTS, TEMPLATES, facts
from tests.evidence.speed.laps import Duel, Lap, Steps
from tests.evidence.speed.measure import SUITES, measure_speed
from tests.evidence.speed.numbers import closed_form
from tests.evidence.speed.plot import plot_growth
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Parts, Workshop
from tests.support.families import random_model, texts, tokenizer
from tests.support.plain_memit import PlainMemit

SMALL = SuiteSize(
    rounds=2, facts=3, baseline_facts=2, inserted=4, stored=9, new=2, tokens=300, prompts=4, width=48, rank=5
)  # fmt: skip
RECIPE = (
    "layers = [1, 2]\ncovariance_tokens = 900\nsteps = 4\ncontext_count = 2\ncontext_tokens = 3\nlearning_rate = 0.1\n"
)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    random_model("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n\n".join(texts()))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.toml").write_text(RECIPE)
    wanted = SessionOptions(
        model="./model", recipes=("small",), state=tmp_path / "state", corpus=(tmp_path / "texts.txt",)
    )
    with research_session(wanted, Work()) as found:
        yield found


def values(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f["name"]: f for f in document["figures"]}


def test_every_suite_runs_agrees_and_leaves_the_model_as_it_was(session: Any, tmp_path: Path) -> None:
    before = {n: p.clone() for n, p in session.app.loaded.model.named_parameters()}
    document = measure_speed(session, list(SUITES), SMALL)
    assert all(torch.equal(p, before[n]) for n, p in session.app.loaded.model.named_parameters())
    found = values(document)
    for name in ("targets", "keys", "covariance", "probing", "solve", "materialise"):
        assert found[f"{name}.ratio"]["value"] > 0 and found[f"{name}.ratio"]["target"]
    assert found["targets.z_difference"]["value"] < 1e-2
    for name in (
        "targets.loss_difference",
        "keys.difference",
        "covariance.difference",
        "probing.logprob_difference",
        "solve.difference",
    ):
        assert found[name]["holds"], found[name]
    assert found["probing.same_answers"]["value"] == 1.0
    assert (found["targets.ratio"]["target"], found["memory.share"]["target"]) == (">= 8", "<= 1.25")
    assert found["rebuild.share"]["target"] == "<= 0.08" and 0 < found["rebuild.share"]["value"] < 1
    shares = [f["value"] for name, f in found.items() if name.startswith("nothing.share.")]
    assert sum(shares) == pytest.approx(1) and "nothing.share.targets" in found and min(shares) >= 0
    assert found["memory.peak"]["value"] > found["memory.empty_process"]["value"] > 0
    assert found["growth.10.insertion_seconds"]["value"] > 0 and "growth.100.insertion_seconds" not in found
    for name in ("targets", "layers", "covariance", "probing"):
        assert found[f"limits.{name}.operations"]["value"] > 0 < found[f"limits.{name}.of_limit"]["value"]
    plot_growth([document], tmp_path / "growth.svg")
    assert "keys and insertion" in (tmp_path / "growth.svg").read_text()
    assert list(document["suites"]) == list(SUITES)
    assert str(tmp_path) not in json.dumps(document)


def test_a_suite_that_was_measured_is_kept_and_measured_again_when_asked(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counting(_shop: Workshop, _size: SuiteSize) -> list[Figure]:
        calls.append(1)
        return [Figure("calls", len(calls), "times")]

    monkeypatch.setitem(speed.SUITES, "solve", counting)
    one = measure_speed(session, ["solve"], SMALL)
    two = measure_speed(session, ["solve"], SMALL)
    assert (len(calls), one["figures"]) == (1, two["figures"])
    anew = measure_speed(session, ["solve"], SMALL, again=True)
    assert values(anew)["calls"]["value"] == 2
    assert values(measure_speed(session, ["solve"], SMALL))["calls"]["value"] == 2
    measure_speed(session, ["solve"], SuiteSize(rounds=3))
    assert len(calls) == 3


def test_a_part_is_kept_where_its_suite_was_killed(session: Any) -> None:
    cache = ResultCache(session.artifacts, "parts", ())
    calls: list[str] = []

    def part(name: str) -> Any:
        def compute() -> int:
            calls.append(name)
            return len(calls)

        return compute

    for again in (False, False, True):
        parts = Parts(cache, again=again, model="m")
        assert parts.make("one", part("one")) == parts.make("one", part("one")) == len(calls)
    assert calls == ["one", "one"], "the second run finds it, and the last one makes it anew, once"
    assert Parts(cache, model="another").make("one", part("other")) == 3


@pytest.mark.parametrize(("width", "rank"), [(96, 80), (40, 50)])
def test_the_solve_is_right_at_every_shape(width: int, rank: int) -> None:
    found = {f.name: f for f in closed_form(SuiteSize(width=width, rank=rank))}
    assert found["solve.difference"].holds


def test_a_duel_changes_its_order_and_tells_the_median_of_its_rounds() -> None:
    order: list[str] = []

    def side(name: str, laps: list[Lap]) -> Any:
        def work() -> Lap:
            order.append(name)
            return laps.pop(0)

        return work

    duel = Duel()
    baseline = side("baseline", [Lap(10, 8, 2), Lap(30, 8, 2), Lap(60, 8, 2)])
    ours = side("ours", [Lap(1, 1, 4), Lap(1, 1, 4), Lap(1, 1, 4)])
    for _ in range(3):
        duel.round(baseline, ours)
    assert order == ["baseline", "ours", "ours", "baseline", "baseline", "ours"]
    ratio, cpu, seconds, theirs = duel.figures("x", "s", 70)
    assert (ratio.value, ratio.target, ratio.holds) == (60.0, ">= 70", False)
    assert (cpu.value, seconds.value, theirs.value) == (16.0, 0.25, 15.0)


def test_no_two_made_up_facts_have_one_prompt() -> None:
    every = facts(len(SUBJECTS) * len(TEMPLATES))
    assert len({(r.subject, r.template) for r in every}) == len(every) == 1024
    assert len({r.id for r in every}) == len(every)
    assert {r.target for r in every} <= set(ANSWERS)


def test_the_baseline_in_batches_is_the_plain_transcription(session: Any) -> None:
    shop = Workshop(session)
    tasks = shop.tasks(facts(3))
    moments = [shop.covariances.matrices[layer.index] for layer in shop.layers]
    with shop.reference(shop.recipe) as published:
        batched = [published.target(task) for task in tasks]
        goals = [z for z, _ in batched]
        changes = published.spread(tasks, goals, moments)
    parts = [(layer.module, layer.down.module) for layer in shop.layers]
    with shop.reference(shop.recipe):
        plain = PlainMemit(shop.loaded.model, parts, shop.recipe)
        for (z, loss), task in zip(batched, tasks, strict=True):
            wanted, wanted_loss = plain.target(task)
            torch.testing.assert_close(z, wanted, rtol=1e-4, atol=1e-5)
            assert loss == pytest.approx(wanted_loss, rel=1e-4)
        for made, change in zip(changes, plain.spread(tasks, goals, moments), strict=True):
            assert float((made - change).norm() / change.norm()) < 1e-4


def test_a_step_that_runs_twice_takes_the_time_of_both() -> None:
    steps = Steps(Work().progress)
    for seconds in (0.05, 0.0):
        steps.start("layers", 1)
        time.sleep(seconds)
        steps.finish()
    assert steps.laps["layers"].wall >= 0.05
