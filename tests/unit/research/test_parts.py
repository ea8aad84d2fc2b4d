"""Finished parts of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

import kbsync
from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.errors import Stopped
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.ports import Clock, Edit, Editor, Work
from kbsync.research.bench import Data, Extent, run_counterfact
from kbsync.research.cases import Part
from kbsync.research.grid import Algorithm, Bench
from kbsync.research.parts import EDITED_BY, MEASURED_BY, code_hash
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


def test_a_finished_run_computes_nothing_again(tmp_path: Path, counterfact: Data) -> None:
    editor, steps = NoiseEditor(), Steps()
    first = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=10, extent=EXTENT)
    second = run_counterfact(bench(tmp_path, steps), counterfact, noise(editor), edits=10, extent=EXTENT)
    assert (editor.calls, steps.stages) == ([10], [])
    assert first["results"] == second["results"]


def test_parts_of_other_code_are_other_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "editing").mkdir()
    (tmp_path / "model" / "a.py").write_text("x = 1\n")
    (tmp_path / "editing" / "b.py").write_text("y = 1\n")
    monkeypatch.setattr(kbsync, "__file__", str(tmp_path / "__init__.py"))
    both, one = code_hash(["model", "editing"]), code_hash(["model"])
    (tmp_path / "editing" / "b.py").write_text("y = 2\n")
    assert code_hash(["model", "editing"]) != both
    assert code_hash(["model"]) == one


def test_a_package_that_there_is_not_is_refused_instead_of_left_out() -> None:
    with pytest.raises(ValueError, match="no package evaluation"):
        code_hash(["model", "evaluation"])


def test_the_code_that_makes_figures_and_edits_is_all_there() -> None:
    assert len({code_hash(EDITED_BY), code_hash(MEASURED_BY)}) == 2
