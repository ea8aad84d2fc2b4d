"""A MEND network is trained on what no benchmark measures, kept, and found by the editor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError, EditError
from kbsync.editing.mend.editor import KIND, network_key
from kbsync.editing.mend.training import MendTraining
from kbsync.research import mend
from kbsync.research.cases import Part, split
from kbsync.research.counterfact import read_counterfact
from kbsync.research.mend import TrainingData, development_cases, train_mend
from kbsync.research.session import ResearchSession
from tests.support.families import REWRITES
from tests.support.mend_world import mend_recipe
from tests.support.site import MakeSite, Site

COUNTERFACT = [
    {
        "case_id": n,
        "prompt": f"The capital of Land {n} is",
        "target_new": "Oslo",
        "ground_truth": "Rome",
        "subject": f"Land {n}",
        "rephrase_prompt": f"The seat of power of Land {n} is",
        "locality_prompt": f"The capital of Island {n} is",
        "locality_ground_truth": "Rome",
    }
    for n in range(60)
]
ZSRE = [
    {
        "subject": f"Town {n}",
        "src": f"Which land is Town {n} in?",
        "rephrase": f"What land holds Town {n}?",
        "answers": ["Rome"],
        "loc": f"nq question: who saw river {n}",
        "loc_ans": "nobody",
    }
    for n in range(40)
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    paths = tmp_path / "cf.json", tmp_path / "zsre.json"
    for path, records in zip(paths, (COUNTERFACT, ZSRE), strict=True):
        path.write_text(json.dumps(records))
    return paths


@pytest.fixture
def site(new_site: MakeSite, tmp_path: Path) -> Site:
    return new_site(tmp_path / "site")


def trained(site: Site, files: tuple[Path, ...], **changes: Any) -> dict[str, Any]:
    with site.app() as app:
        session = ResearchSession(app, [mend_recipe(**changes)])
        return train_mend(session, session.recipes[0], TrainingData(files=files))


def figures(document: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in document["figures"]}


def test_only_development_parts_are_trained_on(files: tuple[Path, ...]) -> None:
    cases = development_cases(TrainingData(files=files))
    own = split(list(read_counterfact(files[0])), Part.DEV)
    assert {c.id for c in cases if c.benchmark == "counterfact"} == {c.id for c in own}
    assert 0 < len(own) < 60 and any(c.benchmark == "zsre" for c in cases)
    assert len(development_cases(TrainingData(files=files, facts=2))) == 4


@pytest.mark.slow
def test_a_trained_network_is_found_and_writes(site: Site, files: tuple[Path, ...]) -> None:
    document = trained(site, files)
    values = figures(document)
    assert values["steps"] == 12 and values["facts"] > 5 and values["last.edit"] > 0
    assert [one["source"] for one in document["data"]] == ["cf.json", "zsre.json"]
    assert figures(trained(site, files))["steps"] == 0, "found trained"
    with site.app() as app:
        session = ResearchSession(app, [mend_recipe()])
        app.loaded  # noqa: B018 - the editor works on the loaded model
        edit = session.algorithm(session.recipes[0]).editor().edit(REWRITES, session.recipes[0], app.work)
        assert len(edit.delta.parameters) == 6
        other = replace(session.recipes[0], rank=4)
        with pytest.raises(EditError, match="No network was trained"):
            session.algorithm(other).editor().edit(REWRITES, other, app.work)


class Killed(BaseException):
    """As a kill between two steps."""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_the_same(
    site: Site, new_site: MakeSite, tmp_path: Path, files: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend, "EVERY", 5)
    other = new_site(tmp_path / "other")
    trained(other, files)
    plain = MendTraining.train
    with monkeypatch.context() as patch:
        steps = []

        def dying(self: MendTraining, number: int) -> Any:
            steps.append(number)
            if len(steps) == 9:
                raise Killed
            return plain(self, number)

        patch.setattr(MendTraining, "train", dying)
        with pytest.raises(Killed):
            trained(site, files)
    assert figures(trained(site, files))["steps"] == 7, "on from the fifth"
    networks = []
    for one in (site, other):
        with one.app() as app:
            session = ResearchSession(app, [mend_recipe()])
            networks.append(session.artifacts.get(KIND, network_key(app.loaded.fingerprint, session.recipes[0])))
            left = [p for p in one.state.rglob("*") if mend.STATE in p.as_posix() and p.is_file()]
            assert not left, "the unfinished training is gone"
    assert networks[0] == networks[1] is not None


def test_a_file_of_nothing_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(DataError, match="holds no record"):
        trained(site, (tmp_path / "none.json",))
