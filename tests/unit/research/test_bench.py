"""Whole runs on a tiny model: the document, going on after a kill, and what is reused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.errors import DataError, Stopped
from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import write_evidence
from kbsync.ports import Clock, Edit, Editor, Work
from kbsync.research.bench import Data, Extent, run_counterfact, run_zsre
from kbsync.research.cases import Part
from kbsync.research.counterfact import read_counterfact
from kbsync.research.gauges import CounterfactPrompts
from kbsync.research.grid import Algorithm, Bench
from tests.support.bench_model import CORPUS, loaded
from tests.support.bench_records import published, write, zsre
from tests.support.recorded_work import RecordedWork

RECIPE = Recipe(name="tiny", layers=(1,), covariance_weight=10.0)


MATRIX = "transformer.h.1.mlp.c_proj.weight"


class Noon(Clock):
    def now(self) -> datetime:
        return datetime(2024, 1, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing waits here, least of all {seconds} s")


class Steps(RecordedWork):
    """Counts what was done; asks to stop after ``stop_after`` advances."""

    def __init__(self, stop_after: int | None = None) -> None:
        stop_at = None if stop_after is None else stop_after + 1
        super().__init__(stop_at, Stopped("A stop was asked for."))


@dataclass
class NoiseEditor(Editor):
    """A rank-one change that depends on the rewrites and the recipe, and is large enough to be seen in every figure."""

    calls: list[int] = field(default_factory=list)

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        self.calls.append(len(rewrites))
        random = torch.Generator().manual_seed(len(rewrites) + int(recipe.covariance_weight))
        factors = torch.randn(32, 1, generator=random), torch.randn(1, 128, generator=random)
        layer = LayerReport(layer=1, residual_before=2.0, residual_after=1.0, delta_ratio=0.5, condition=3.0)
        left_out = {rewrites[0].id: "no such subject"} if len(rewrites) > 3 else {}
        report = EditReport(layers=(layer,), left_out=left_out, seconds=1.5)
        return Edit(FactorDelta({MATRIX: factors}), report, {r.id: "0" * 64 for r in rewrites}, "c", {"torch": "x"})


@pytest.fixture
def counterfact(tmp_path: Path) -> Data:
    records = [published(n, f"Town {n}", new="Rome" if n % 2 else "Oslo") for n in range(12)]
    return Data(path=write(tmp_path / "cf.json", records), part=Part.ALL)


def bench(place: Path, work: Work | None = None) -> Bench:
    model = loaded("gpt2")
    return Bench(
        loaded=model,
        base=TorchBase(model),
        artifacts=FileArtifactStore(DiskStorage(place / "artifacts")),
        versions=FileCheckpointStore(DiskStorage(place)),
        clock=Noon(),
        work=work or Steps(),
        held_out=CORPUS,
    )


def noise(editor: NoiseEditor, recipe: Recipe = RECIPE, inputs: str = "corpus") -> list[Algorithm]:
    return [Algorithm("noise", recipe, lambda: editor, inputs)]


EXTENT = Extent(texts=2, answer_tokens=2, chunk=4)


def value(document: dict[str, Any], name: str) -> float:
    (found,) = (figure["value"] for figure in document["figures"] if figure["name"] == name)
    return float(found)


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


def test_zsre_runs_too(tmp_path: Path) -> None:
    records = [zsre(f"Town {n}", loc=f"nq question: what is {n}") for n in range(6)]
    data = Data(path=write(tmp_path / "zsre.json", records), part=Part.ALL)
    document = run_zsre(bench(tmp_path), data, noise(NoiseEditor()), edits=5, extent=Extent(answer_tokens=2))
    parts = [value(document, f"none@5.{g}_accuracy") for g in ("efficacy", "generalization", "specificity")]
    score = value(document, "none@5.score")
    assert score == (pytest.approx(3 / sum(1 / part for part in parts)) if all(parts) else 0.0)
    assert document["command"] == "kbsync bench zsre"


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


def test_too_few_cases_are_a_data_error(tmp_path: Path, counterfact: Data) -> None:
    with pytest.raises(DataError, match="13 cases were asked for, 12 of 12"):
        run_counterfact(bench(tmp_path), counterfact, [], edits=13)
