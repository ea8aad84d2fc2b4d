"""A grid of recipes and numbers of edits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.errors import Stopped
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import write_evidence
from kbsync.ports import Clock, Edit, Editor, Work
from kbsync.research.bench import Data, Extent, run_counterfact, run_scaling
from kbsync.research.cases import Part
from kbsync.research.grid import Algorithm, Bench
from kbsync.research.plots import plot_scaling
from tests.support.bench_model import CORPUS, loaded
from tests.support.bench_records import published, write
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

    def edit(self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work) -> Edit:
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


@pytest.mark.slow
def test_another_recipe_or_corpus_is_another_edit(tmp_path: Path, counterfact: Data) -> None:
    editor = NoiseEditor()
    for algorithms in (
        noise(editor),
        noise(editor, replace(RECIPE, covariance_weight=11.0)),
        noise(editor, inputs="other corpus"),
        noise(editor, replace(RECIPE, name="renamed")),
    ):
        run_counterfact(bench(tmp_path), counterfact, algorithms, edits=4, extent=EXTENT)
    assert editor.calls == [4, 4, 4]


def test_an_edit_whose_weights_were_deleted_is_made_again(tmp_path: Path, counterfact: Data) -> None:
    editor = NoiseEditor()
    first = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=4, extent=EXTENT)
    shutil.rmtree(tmp_path / "versions")
    second = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=4, extent=EXTENT)
    assert editor.calls == [4, 4]
    assert first["results"] == second["results"]


@pytest.mark.slow
def test_scaling_measures_the_same_cases_at_every_size_and_reuses_them(tmp_path: Path, counterfact: Data) -> None:
    steps, editor = Steps(), NoiseEditor()
    extent = Extent(cases=4, answer_tokens=2, chunk=4)
    document = run_scaling(bench(tmp_path, steps), counterfact, noise(editor), sizes=[12, 4, 8, 4], extent=extent)
    assert editor.calls == [4, 8, 12]
    assert [(c["algorithm"], c["edits"], c["measured"]) for c in document["results"]] == [
        (name, size, 4) for size in (4, 8, 12) for name in ("none", "noise")
    ]
    assert [stage for stage in steps.stages if "none" in stage] == ["measure none at 4"]
    assert value(document, "none@4.score") == value(document, "none@12.score")

    image = tmp_path / "scaling.png"
    write_evidence(tmp_path / "scaling.json", document)
    plot_scaling(tmp_path / "scaling.json", image)
    assert image.read_bytes().startswith(b"\x89PNG\r\n")
    first = image.read_bytes()
    document["results"][1]["estimates"]["score"] |= {"value": 0.99, "low": 0.98, "high": 1.0}
    write_evidence(tmp_path / "scaling.json", document)
    plot_scaling(tmp_path / "scaling.json", image)
    assert image.read_bytes() != first
