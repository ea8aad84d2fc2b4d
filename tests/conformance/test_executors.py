"""The executors: the one in this process, and the one on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from kbsync.domain.errors import ConfigError, ModelError, WorkersDown, WorkersRefused
from kbsync.executors.connection import Connection
from kbsync.executors.ray_executor import ONE_CPU, RayExecutor, Resources
from kbsync.executors.worker_process import Description, versions
from kbsync.ports import Executor, InProcessExecutor, Part
from kbsync.testing.conformance import ExecutorConformance
from kbsync.testing.letter_worker import COUNT, DIE, DIE_ONCE, ECHO, WAIT, make
from tests.support.ray_cluster import STORE_BYTES, LocalCluster, kill, local_cluster

MAKER = "kbsync.testing.letter_worker:make"
Made = Callable[..., RayExecutor]


def by_task(parts: Iterable[Part]) -> dict[int, bytes]:
    """The parts of each task behind one another."""
    found: dict[int, bytes] = {}
    for part in parts:
        found[part.task] = found.get(part.task, b"") + part.data
    return found


class TestInProcess(ExecutorConformance):
    @pytest.fixture
    def executor(self, place: Path) -> Executor:
        return InProcessExecutor(make(str(place)))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    pytest.importorskip("ray", reason="needs the extra ray")
    with local_cluster(Path("/tmp") / tmp_path_factory.mktemp("ray").name) as running:
        yield running


@pytest.fixture(scope="module")
def workers_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def shared_executor(cluster: LocalCluster, workers_place: Path) -> Iterator[RayExecutor]:
    executor = RayExecutor(cluster.address, lambda: Description(MAKER, str(workers_place), versions(), 1))
    yield executor
    executor.close()


class TestRay(ExecutorConformance):
    @pytest.fixture
    def place(self, workers_place: Path) -> Path:
        return workers_place

    @pytest.fixture
    def executor(self, shared_executor: RayExecutor) -> Executor:
        return shared_executor

    def test_a_task_whose_worker_dies_is_done_once_more(self, executor: Executor) -> None:
        tasks = [b"ab", b"cd", b"ef"]
        assert by_task(executor.map(DIE_ONCE, b"", tasks)) == dict(enumerate(tasks))

    def test_a_task_that_ends_every_worker_is_given_up(self, executor: Executor) -> None:
        with pytest.raises(WorkersDown, match=r"3 workers .* were lost at the same task"):
            list(executor.map(DIE, b"", [b"ab"]))
        assert [p.data for p in executor.map(ECHO, b"", [b"a"])] == [b"a"]

    def test_workers_are_kept_and_share_the_tasks(self, executor: Executor) -> None:
        list(executor.map(WAIT, b"", [b"1.5"] * 4))  # both are ready in that time
        counts = [p.data.split() for p in executor.map(COUNT, b"", [b""] * 20)]
        assert len({process for process, _ in counts}) == 2
        assert max(int(done) for _, done in counts) > 10

    def test_a_worker_that_is_killed_while_it_works_is_replaced(self, executor: Executor) -> None:
        first, *_ = (int(p.data.split()[0]) for p in executor.map(COUNT, b"", [b""] * 2))
        tasks = [b"0.5"] * 4
        parts: list[Part] = []
        for part in executor.map(WAIT, b"", tasks):
            if not parts:
                kill(first)
            parts.append(part)
        assert by_task(parts) == dict(enumerate(tasks))

    def test_a_result_that_is_larger_than_the_object_store_comes_whole(self, executor: Executor) -> None:
        shared, task = b"x" * 10_000_000, b"abcdefghi"
        assert len(shared) * len(task) > STORE_BYTES
        parts = list(executor.map(ECHO, shared, [task, b"j"]))
        for place, letters in enumerate((task, b"j")):
            found = [p.data for p in parts if p.task == place]
            assert all(data == shared + bytes([letter]) for data, letter in zip(found, letters, strict=True))


class TestWhatIsRefused:
    @pytest.fixture
    def made(self, cluster: LocalCluster, shared_executor: RayExecutor) -> Made:
        shared_executor.idle.clear()  # its workers end, and there is room for others

        def make(place: Path, resources: Resources = ONE_CPU, **changes: str) -> RayExecutor:
            there = versions() | changes
            return RayExecutor(cluster.address, lambda: Description(MAKER, str(place), there, 1), resources)

        return make

    def test_another_version(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(WorkersRefused, match=r"instead of 0\.0\.7") as raised:
            list(made(tmp_path, kbsync="0.0.7").map(ECHO, b"", [b"a"]))
        assert "in-process" in raised.value.next_step

    def test_what_a_worker_needs_is_not_there(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="There is no"):
            list(made(tmp_path / "missing").map(ECHO, b"", [b"a"]))

    def test_more_than_any_machine_has(self, made: Made, tmp_path: Path) -> None:
        with pytest.raises(WorkersRefused, match="has room for a worker, which needs cpus 1, gpus 2") as raised:
            list(made(tmp_path, Resources(gpus=2)).map(ECHO, b"", [b"a"]))
        assert "in-process" in raised.value.next_step


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Ray is not installed") as raised:
        Connection("127.0.0.1:1", 1)
    assert "kbsync[ray]" in raised.value.next_step
    assert "in-process" in raised.value.next_step
