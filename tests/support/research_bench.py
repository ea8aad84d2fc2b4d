"""A research benchmark on a random GPT-2, with an editor whose change is noise, and a clock that stands at noon."""

from __future__ import annotations

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
from kbsync.domain.errors import Stopped
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.ports import Clock, Edit, Editor, Work
from kbsync.research.bench import Data, Extent
from kbsync.research.cases import Part
from kbsync.research.grid import Algorithm, Bench
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
    guarded: list[Sequence[Preserved]] = field(default_factory=list)

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        self.calls.append(len(rewrites))
        self.guarded.append(guards)
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
