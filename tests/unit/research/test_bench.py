"""Whole runs on a tiny model: the document, going on after a kill, and what is reused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kbsync.domain.errors import DataError, Stopped
from kbsync.domain.gate import Threshold
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import write_evidence
from kbsync.research.bench import Data, Extent, run_counterfact, run_zsre, with_guards
from kbsync.research.cases import Part, split
from kbsync.research.counterfact import read_counterfact
from kbsync.research.measures import CounterfactPrompts
from tests.support.bench_model import CORPUS
from tests.support.bench_records import published, write, zsre
from tests.support.research_bench import EXTENT, MATRIX, RECIPE, NoiseEditor, Steps, bench, noise, value


@pytest.mark.slow
def test_a_run_tells_all_that_it_measured(tmp_path: Path, counterfact: Data) -> None:
    place, editor = bench(tmp_path), NoiseEditor()
    before = {name: tensor.clone() for name, tensor in place.loaded.model.state_dict().items()}
    document = run_counterfact(place, counterfact, noise(editor), edits=10, extent=EXTENT)
    write_evidence(tmp_path / "out.json", document)
    document = json.loads((tmp_path / "out.json").read_text())
    base, cell = document["results"]
    assert (base["algorithm"], base["edits"], base["measured"], base["edit"]) == ("none", 10, 10, None)
    assert (cell["algorithm"], cell["edits"], cell["measured"]) == ("noise", 10, 10)
    assert cell["edit"]["seconds"] == 1.5
    assert list(cell["edit"]["left_out"].values()) == ["no such subject"]
    assert value(document, "noise@10.left_out") == 1
    assert cell["estimates"]["efficacy_success"]["cases"] == 10
    assert cell["estimates"]["fluency"]["cases"] == 2
    assert cell["estimates"]["efficacy_magnitude"] != base["estimates"]["efficacy_magnitude"]
    assert value(document, "noise@10.perplexity_growth") == pytest.approx(cell["perplexity"] / base["perplexity"] - 1)
    assert document["model"] == {"reference": "tiny gpt2", "fingerprint": "tiny-gpt2"}
    assert document["recipes"]["noise"]["fingerprint"] == RECIPE.fingerprint
    assert len(document["data"]["sha256"]) == len(document["data"]["cases_sha256"]) == 64
    after = place.loaded.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_a_recipe_that_guards_gets_neighbours_of_cases_that_are_not_measured(tmp_path: Path) -> None:
    records = [published(n, f"Town {n}", new="Rome" if n % 2 else "Oslo") for n in range(60)]
    data = Data(path=write(tmp_path / "cf.json", records), part=Part.TEST)
    editor, place = NoiseEditor(), bench(tmp_path)
    (line,) = noise(editor)
    guarding = replace(line, recipe=replace(line.recipe, guard_count=5))
    run_counterfact(place, data, [guarding], edits=10, extent=EXTENT)
    run_counterfact(place, data, [line], edits=10, extent=EXTENT)
    (guards, none) = editor.guarded
    assert not none, "another recipe, other weights"
    cases = split(list(read_counterfact(data.path)), Part.DEV)
    assert len({g.id for g in guards}) == 5
    assert {g.subject for g in guards} <= {text for case in cases for text in case.neighbours}
    (unmeasured,) = with_guards([guarding], replace(data, part=Part.ALL))
    assert unmeasured.guards == ()


@pytest.mark.slow
def test_the_base_line_is_the_base_measured_directly(tmp_path: Path, counterfact: Data) -> None:
    place = bench(tmp_path)
    document = run_counterfact(place, counterfact, [], edits=12, extent=EXTENT)
    cases = list(read_counterfact(counterfact.path))
    figures = CounterfactPrompts(answer_tokens=2).measure(place.base.language_model(), cases)
    for name in ("efficacy_success", "generalization_magnitude", "specificity_strict"):
        assert value(document, f"none@12.{name}") == pytest.approx(sum(f[name] for f in figures) / 12)
    assert value(document, "none@12.perplexity") == pytest.approx(place.base.language_model().perplexity(CORPUS).value)
    with place.base.edited(FactorDelta({MATRIX: (torch.eye(32)[:, :1], torch.ones(1, 128))})) as edited:
        assert edited.perplexity(CORPUS).value != pytest.approx(value(document, "none@12.perplexity"))


@pytest.mark.slow
def test_a_killed_run_loses_one_part_at_most_and_ends_as_if_it_had_not_been_killed(
    tmp_path: Path, counterfact: Data
) -> None:
    whole = run_counterfact(bench(tmp_path / "whole"), counterfact, noise(NoiseEditor()), edits=10, extent=EXTENT)
    # Each line has 3 chunks of prompts, 1 of texts and 1 perplexity: 10 parts beside the edit.
    editor, done = NoiseEditor(), 0
    for stop_after in (2, 0, 4, 100):
        steps = Steps(stop_after)
        try:
            again = run_counterfact(
                bench(tmp_path / "killed", steps), counterfact, noise(editor), edits=10, extent=EXTENT
            )
        except Stopped:
            assert steps.advances == stop_after + 1
        done += steps.advances
    assert done == 10
    assert editor.calls == [10]
    assert again["results"] == whole["results"]
    assert again["figures"] == whole["figures"]


@pytest.mark.slow
def test_zsre_runs_too(tmp_path: Path) -> None:
    records = [zsre(f"Town {n}", loc=f"nq question: what is {n}") for n in range(6)]
    data = Data(path=write(tmp_path / "zsre.json", records), part=Part.ALL)
    document = run_zsre(bench(tmp_path), data, noise(NoiseEditor()), edits=5, extent=Extent(answer_tokens=2))
    parts = [value(document, f"none@5.{g}_accuracy") for g in ("efficacy", "generalization", "specificity")]
    score = value(document, "none@5.score")
    assert score == (pytest.approx(3 / sum(1 / part for part in parts)) if all(parts) else 0.0)
    assert document["command"] == "kbsync bench zsre"


@pytest.mark.slow
def test_targets_are_judged_and_unknown_ones_refused(tmp_path: Path, counterfact: Data) -> None:
    targets = [
        Threshold(metric="noise@4.score", at_least=1.1),
        Threshold(metric="noise@4.left_out", at_most=1),
    ]
    document = run_counterfact(
        bench(tmp_path), counterfact, noise(NoiseEditor()), edits=4, extent=EXTENT, targets=targets
    )
    judged = {f["name"]: (f["target"], f["holds"]) for f in document["figures"] if f["target"]}
    assert judged == {"noise@4.score": (">= 1.1", False), "noise@4.left_out": ("<= 1", True)}
    unused = NoiseEditor()
    with pytest.raises(ValueError, match=r"no line of this run has noise@5\.score"):
        run_counterfact(
            bench(tmp_path),
            counterfact,
            noise(unused),
            edits=4,
            extent=EXTENT,
            targets=[Threshold(metric="noise@5.score")],
        )
    assert unused.calls == []
    with pytest.raises(ValueError, match=r"no figure is named noise@4\.glory"):
        run_counterfact(
            bench(tmp_path),
            counterfact,
            noise(unused),
            edits=4,
            extent=EXTENT,
            targets=[Threshold(metric="noise@4.glory")],
        )
    with pytest.raises(ValueError, match="two lines have one name"):
        run_counterfact(bench(tmp_path), counterfact, noise(unused) * 2, edits=4)


@pytest.mark.slow
def test_the_base_with_the_facts_in_its_context_is_a_line_of_its_own(tmp_path: Path, counterfact: Data) -> None:
    place, extent = bench(tmp_path), replace(EXTENT, in_context=True)
    targets = [Threshold(metric="context@12.generalization_greedy", at_least=1.1)]
    document = run_counterfact(place, counterfact, [], edits=12, extent=extent, targets=targets)
    cases = list(read_counterfact(counterfact.path))
    figures = CounterfactPrompts(answer_tokens=2, is_told=True).measure(place.base.language_model(), cases)
    for name in ("efficacy_magnitude", "generalization_magnitude", "specificity_magnitude"):
        assert value(document, f"context@12.{name}") == pytest.approx(sum(f[name] for f in figures) / 12)
    told, untold = (value(document, f"{line}@12.efficacy_magnitude") for line in ("context", "none"))
    assert told != untold
    same = (value(document, f"{line}@12.specificity_magnitude") for line in ("context", "none"))
    assert next(same) == next(same)
    assert not any(f["name"].startswith("context@12.perplexity") for f in document["figures"])
    assert [f["holds"] for f in document["figures"] if f["target"]] == [False]


def test_too_few_cases_are_a_data_error(tmp_path: Path, counterfact: Data) -> None:
    with pytest.raises(DataError, match="13 cases were asked for, 12 of 12"):
        run_counterfact(bench(tmp_path), counterfact, [], edits=13)
