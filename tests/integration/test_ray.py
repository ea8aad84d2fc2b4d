"""A site whose covariances are measured, whose target vectors are searched, and whose model is asked, on a real Ray
cluster of this machine.

The cluster has two nodes, as far as Ray knows. One cluster serves all tests but those that end it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kbsync.config import load_all
from kbsync.domain.errors import WorkersDown
from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
from kbsync.executors.ray_executor import RayExecutor
from kbsync.model.base import TorchBase
from kbsync.ports import Executor, Part
from kbsync.stages.release.bisect import BisectResult, RefusedBuild
from kbsync.testing import MemoryArtifactStore
from tests.support.ray_cluster import STORE_BYTES, LocalCluster, kill, local_cluster
from tests.support.site import MakeSite, Site, clean_environment, fact, new_site, random_base

__all__ = ["clean_environment", "new_site", "random_base"]

pytestmark = pytest.mark.slow
FACTS = [fact(n, f"Town {n * 7 % 10}") for n in range(1, 131)]
"""Three batches of target vectors."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the workers have it: the number of threads changes last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    pytest.importorskip("ray", reason="needs the extra ray")
    with local_cluster(Path("/tmp") / tmp_path_factory.mktemp("ray").name) as running:
        yield running


@pytest.fixture(scope="module")
def expected(new_site: MakeSite, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Version 1, built in this process."""
    made = new_site(tmp_path_factory.mktemp("here") / "site")
    made.build(*FACTS)
    return made


@pytest.fixture(scope="module")
def workers_of_a_site(
    new_site: MakeSite, tmp_path_factory: pytest.TempPathFactory, cluster: LocalCluster
) -> Iterator[RayExecutor]:
    """What ``[executor]`` makes; all sites here have the same base, so they may share its workers."""
    site = new_site(tmp_path_factory.mktemp("there") / "site", more=on(cluster.address))
    with site.app() as app:
        assert isinstance(app.executor, RayExecutor)
        yield app.executor


@pytest.fixture
def site(new_site: MakeSite, tmp_path: Path, workers_of_a_site: RayExecutor, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("kbsync.bootstrap.app.App.executor", workers_of_a_site)
    return new_site(tmp_path / "site")


def on(address: str, more: str = "") -> str:
    return f'[executor]\nkind = "ray"\naddress = "{address}"\nconnect_timeout = "20s"\n{more}'


def test_a_version_is_the_same_on_two_workers_whose_object_store_is_full(site: Site, expected: Site) -> None:
    import ray

    with site.app() as app:
        assert app.base.language_model().complete(["The"])  # so the cluster is connected
        filling = [ray.put(os.urandom(10_000_000)) for _ in range(12)]
        site.build(*FACTS)
        assert len(filling) * 10_000_000 > STORE_BYTES
    assert site.version_hash(1) == expected.version_hash(1)
    assert site.manifest(1).targets == expected.manifest(1).targets


def test_what_is_lost_in_mid_edit_is_done_again(
    site: Site, expected: Site, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is killed after the first target, and a node after the first of another batch."""
    lost: dict[int, str] = {}

    def lose(self: RayExecutor, task: int) -> None:
        if task in lost or len(lost) == 2:
            return
        lost[task] = "node" if lost else "worker"
        if lost[task] == "node":
            cluster.kill_node(cluster.nodes[0])
            cluster.nodes.append(cluster.add_node())
        else:
            busy = [process for process in _processes() if process not in _idle(self)]
            kill(busy[0])

    _after_each_part(monkeypatch, lose)
    site.build(*FACTS)
    assert sorted(lost.values()) == ["node", "worker"]
    assert site.version_hash(1) == expected.version_hash(1)
    with site.app() as app, app.ledger.read() as tx:
        kinds = [event.kind for event in tx.audit()]
    assert kinds.count("edit") == 1
    site.good("verify")


def _after_each_part(monkeypatch: pytest.MonkeyPatch, then: Callable[[RayExecutor, int], None]) -> None:
    whole = RayExecutor.map

    def watched(self: RayExecutor, *arguments: Any) -> Iterator[Part]:
        for part in whole(self, *arguments):
            then(self, part.task)
            yield part

    monkeypatch.setattr(RayExecutor, "map", watched)


def _idle(executor: Executor | None) -> list[int]:
    """The processes of the workers that are ready and have nothing to do."""
    import ray

    assert isinstance(executor, RayExecutor)
    return list(ray.get([actor.process.remote() for actor in executor.idle]))


def _processes() -> list[int]:
    """The workers' processes on this machine, busy or not."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if words.startswith(b"ray::WorkerProcess") and _is_ours(parent):
                found.append(int(entry.name))
    return found


def _is_ours(process: int) -> bool:
    """Whether this process started it, over any number of others."""
    while process > 1:
        if process == os.getpid():
            return True
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_a_covariance_is_the_same_on_two_workers_one_of_which_is_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"Land {n} lies between Land {n * 7 % 100} and the sea, and its towns are old." for n in range(400)]
    done: list[int] = []

    def lose(_executor: RayExecutor, task: int) -> None:
        if not done:
            kill(_processes()[0])
        done.append(task)

    with site.app() as app:
        recipe = replace(app.recipe, covariance_tokens=20_000)
        here = RecipeCovariances(app.loaded, recipe, lines, MemoryArtifactStore()).measure(app.work)
        _after_each_part(monkeypatch, lose)
        there = app.statistics(recipe, lines, MemoryArtifactStore()).measure(app.work)
    assert there.fingerprint == here.fingerprint
    assert there.tokens == here.tokens
    assert len(set(done)) > 4
    assert len(done) == len(set(done)) * len(recipe.layers)


def test_answers_are_the_same_on_two_workers(site: Site, expected: Site) -> None:
    prompts = [f"The capital of Land {n} is" for n in range(200)]
    pairs = [(prompt, f"Town {n % 5}") for n, prompt in enumerate(prompts)]
    shutil.copytree(expected.state / "versions", site.state / "versions", dirs_exist_ok=True)
    with site.app() as far, expected.app() as near:
        delta, own = near.store.read(expected.version_hash(1)).delta, TorchBase(near.loaded)
        assert far.base.language_model().scores(pairs) == own.language_model().scores(pairs)
        with far.base.edited(delta) as one, own.edited(delta) as other:
            assert one.complete(prompts, max_new_tokens=4) == other.complete(prompts, max_new_tokens=4)
            assert one.scores(pairs) == other.scores(pairs)
            assert one.sample(prompts[:40], length=20) == other.sample(prompts[:40], length=20)
        assert _idle(far.executor)


def test_a_search_for_culprits_tries_the_same_builds_whoever_is_asked(
    site: Site, new_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr("kbsync.bootstrap.app.App.executor", None)
        here = _searched(new_site(tmp_path / "here"))
    asked: list[int] = []
    _after_each_part(monkeypatch, lambda _executor, task: asked.append(task))
    there = _searched(site)
    assert there == here
    assert len(there[1]) == there[0].builds > 3
    assert len(asked) >= there[0].builds


def _searched(site: Site) -> tuple[BisectResult, list[Any]]:
    """How the search in a refused version ended, and its trials as the audit trail holds them."""
    number = site.build(*FACTS[:6])
    with site.app() as app, app.writer() as writer:
        evaluated = app.stages.evaluate(writer, number, again=True)
        with app.ledger.read() as tx:
            plan = tx.plan(evaluated.version.plan_hash)
        assert plan is not None
        refused = RefusedBuild(plan=plan, version=evaluated.version, evaluation=evaluated.evaluation)
        result = app.stages.bisect(writer, refused, app.stages.measurement(writer.run))
        with app.ledger.read() as tx:
            (event,) = tx.audit(kind="bisect")
    assert result is not None
    return result, event.body["trials"]


def test_an_address_where_nothing_listens(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site", more=on("127.0.0.1:9"))
    with pytest.raises(WorkersDown, match="can't be reached") as raised:
        site.build(*FACTS[:2])
    assert 'kind = "in-process"' in raised.value.next_step


def test_configurations_that_are_wrong_are_named(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site", more='[executor]\nkind = "spark"\naddress = "here"\nworker_cpus = 0\n')
    with pytest.raises(Exception, match="3 mistakes"):
        load_all(site.config)


def test_when_the_head_stops_the_edit_ends_and_is_taken_up_again(
    site: Site, expected: Site, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test: it ends the cluster."""
    stopped: list[int] = []

    def stop(executor: RayExecutor, task: int) -> None:
        if not stopped:
            stopped.append(task)
            cluster.stop_head()

    with site.app() as app:
        model = app.base.language_model()
        assert model.complete(["The"])
        _after_each_part(monkeypatch, stop)
        with suppress(WorkersDown):  # workers may finish what they have begun
            site.build(*FACTS)
        with pytest.raises(WorkersDown, match=r"was lost|can't be reached") as raised:
            model.complete(["The capital"])
    assert stopped
    assert 'kind = "in-process"' in raised.value.next_step
    monkeypatch.undo()  # in this process, as the error says
    assert site.version_hash(site.build(*FACTS)) == expected.version_hash(1)
    with site.app() as app, app.ledger.read() as tx:
        assert [event.kind for event in tx.audit()].count("edit") == 1
    site.good("verify")
