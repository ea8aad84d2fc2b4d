"""What a site's workers are made of, and which base they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbsync.bootstrap import App
from kbsync.bootstrap.workers import SiteWorker, make
from kbsync.domain.errors import ConfigError, WorkersRefused
from kbsync.model.answer_tasks import ANSWERS, answers_task, texts_in
from kbsync.model.base import TorchBase
from kbsync.ports import InProcessExecutor, Part
from tests.support.site import (
    MakeSite,
    Site,
    _one_version,
    built,
    clean_environment,
    new_site,
    random_base,
    site,
)

__all__ = ["_one_version", "built", "clean_environment", "new_site", "random_base", "site"]

RAY = '[executor]\nkind = "ray"\nworkers = 3\nworker_cpus = 2\n'


def test_nothing_is_shared_unless_it_is_configured(site: Site) -> None:
    with site.app() as app:
        assert app.executor is None
        assert not hasattr(app.base, "_executor")


def test_ray_that_is_not_installed_is_a_mistake_of_the_configuration(
    new_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    site = new_site(tmp_path / "site", more=RAY)
    with site.app() as app, pytest.raises(ConfigError, match="Ray is not installed"):
        _ = app.base


def test_a_worker_is_described_by_its_base_and_its_threads(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site", more=RAY + 'models_dir = "/var/models"\n')
    with site.app() as app:
        described = app.worker
        argument = json.loads(described.argument)
        assert described.threads == 2
        assert argument["fingerprint"] == app.fingerprint
        assert argument["models"] == "/var/models"


@pytest.mark.slow
def test_a_worker_answers_as_the_site_does(site: Site) -> None:
    prompts = ["The capital of Peru is", "A"]
    with site.app() as app:
        worker = make(app.worker.argument)
        assert isinstance(worker, SiteWorker)
        (part,) = worker.do(ANSWERS, b"", answers_task(prompts, 4), lambda: None)
        assert texts_in(part) == TorchBase(app.loaded).language_model().complete(prompts, max_new_tokens=4)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"fingerprint": "0" * 64}, "has another base"), ({"reference": "/nowhere"}, "can't load the base")],
)
def test_another_base_or_none_is_refused(site: Site, change: dict[str, str], said: str) -> None:
    with site.app() as app:
        argument = json.dumps(json.loads(app.worker.argument) | change)
    with pytest.raises(WorkersRefused, match=said) as raised:
        make(argument)
    assert 'kind = "in-process"' in raised.value.next_step


@pytest.mark.slow
def test_a_version_is_evaluated_by_workers_as_here(built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both times every question is asked: the base's replies of the first time are thrown away."""
    first = built("evaluate", "1", "--again", "--json").json
    shutil.rmtree(built.state / "artifacts" / "replies")
    asked: list[str] = []

    class Counting(InProcessExecutor):
        def map(self, kind: str, *arguments: Any) -> Iterator[Part]:
            asked.append(kind)
            return super().map(kind, *arguments)

    with built.app() as app:
        executor = Counting(make(app.worker.argument))
    monkeypatch.setattr(App, "executor", executor)
    again = built("evaluate", "1", "--again", "--json").json
    assert {"answers", "scores"} <= set(asked)
    assert again["metrics"] == first["metrics"]
