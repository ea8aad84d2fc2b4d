"""Tasks on the workers of a Ray cluster. A worker that is lost is replaced, and its task is done again."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kbsync.domain.errors import WorkersDown, WorkersRefused
from kbsync.executors.connection import WORK_HERE, Connection
from kbsync.executors.messages import parts_of, task_hash
from kbsync.executors.worker_process import READY, Description, WorkerProcess, encode
from kbsync.ports import UNWATCHED, Executor, Part, Work
from kbsync.system.log import logger
from kbsync.system.messages import first_line

TRIES = 3
"""Workers that a task may cost before it is given up."""
_WAIT_SECONDS = 1.0
"""Between two looks at the head, at the lease and at a stop request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one worker takes of its machine, and how many there are."""

    workers: int = 0
    """Their number; 0: as many as the cluster has room for."""
    cpus: int = 1
    """Processors, and threads, of each."""
    gpus: float = 0.0
    memory: int = 0
    """Bytes; 0: not reserved."""

    def as_options(self) -> dict[str, Any]:
        """As Ray takes them."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus} | ({"memory": self.memory} if self.memory else {})

    def as_text(self) -> str:
        """For a person."""
        return ", ".join(
            f"{name.removeprefix('num_')} {amount}" for name, amount in self.as_options().items() if amount
        )

    def room(self, nodes: Sequence[dict[str, Any]]) -> int:
        """For how many workers the living ``nodes`` have room, if nothing else runs there."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return sum(
            min(int(node["Resources"].get(name, 0.0) // amount) for name, amount in wanted.items() if amount)
            for node in nodes
            if node["Alive"]
        )


ONE_CPU = Resources()


@dataclass(slots=True)
class Running:
    """A call of one worker that has not ended."""

    actor: Any
    place: int | None
    """The task's; None: the worker is being made ready."""
    since: float = field(default_factory=time.monotonic)


class RayExecutor(Executor):
    """Connects, and starts workers, when the first task comes; they are kept until ``close``."""

    def __init__(
        self,
        address: str,
        description: Callable[[], Description],
        resources: Resources = ONE_CPU,
        *,
        connect_seconds: float = 30.0,
        task_seconds: float = 3600.0,
    ) -> None:
        """Nothing happens yet.

        Args:
            address: Of the cluster's head.
            description: Says what the workers are; asked once.
            resources: Of each worker.
            connect_seconds: Longest time that connecting may take.
            task_seconds: Longest time of one task, or of making a worker ready; a worker that takes longer is replaced.
        """
        self._address, self._describe, self._resources = address, description, resources
        self._connect_seconds, self._task_seconds = connect_seconds, task_seconds
        self._connection: Connection | None = None
        self._described: bytes | None = None
        self._idle: list[Any] = []
        self.starting: dict[Any, Running] = {}
        """Workers that were not ready when the last ``map`` ended, by the reference to their answer."""

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        if tasks:
            yield from _Map(self, kind, shared, tasks, work).run()

    def close(self) -> None:
        """End the workers and the connection."""
        self._idle, self.starting = [], {}
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def all_ready(self, work: Work = UNWATCHED) -> list[Any]:
        """Wait until as many workers as there may be are ready; returns them."""
        import ray

        count = self.wanted(self._resources.workers or 2**31)
        while len(self._idle) < count:
            for _ in range(count - len(self._idle) - len(self.starting)):
                call = self.start()
                self.starting[call.actor.prepare.remote()] = call
            work.checkpoint()
            for reference in ray.wait(list(self.starting), timeout=_WAIT_SECONDS)[0]:
                parts_of(ray.get(reference), READY)
                self._idle.append(self.starting.pop(reference).actor)
        return list(self._idle)

    def connected(self) -> Connection:
        """The connection, made when it is first asked for; raises as ``Connection`` does."""
        if self._connection is None:
            self._connection = Connection(self._address, self._connect_seconds)
        return self._connection

    def start(self) -> Running:
        """Start another worker."""
        import ray

        if self._described is None:
            self._described = encode(self._describe())
        self.connected().require_head()
        remote: Any = ray.remote(WorkerProcess)
        actor = remote.options(max_restarts=0, max_concurrency=1, **self._resources.as_options()).remote(
            self._described
        )
        return Running(actor, None)

    def wanted(self, tasks: int) -> int:
        """How many workers ``tasks`` tasks get.

        Raises:
            WorkersRefused: No machine of the cluster has room for one.
        """
        import ray

        self.connected().require_head()
        nodes: Any = ray.nodes  # has no types
        room = self._resources.room(nodes())
        if room < 1:
            raise WorkersRefused(
                f"No machine of the Ray cluster at {self._address} has room for a worker, which needs "
                f"{self._resources.as_text()}.",
                next_step=f"Ask for less in [executor], or add a machine. {WORK_HERE}",
            )
        return min(tasks, room, self._resources.workers or room)

    @property
    def idle(self) -> list[Any]:
        """Workers that are ready and have nothing to do."""
        return self._idle

    @property
    def task_seconds(self) -> float:
        """Longest time of one call."""
        return self._task_seconds


class _Map:
    """One call of ``RayExecutor.map``."""

    def __init__(self, executor: RayExecutor, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work) -> None:
        self._executor, self._kind, self._shared, self._tasks, self._work = executor, kind, shared, tasks, work
        self._waiting = deque(range(len(tasks)))
        self._running, executor.starting = executor.starting, {}
        self._lost: Counter[int | None] = Counter()

    def run(self) -> Iterator[Part]:
        """Give out tasks until all are done. Workers that are at work when the caller gives up are ended."""
        import ray

        connection = self._executor.connected()
        connection.require_head()
        self._put = ray.put(self._shared)
        try:
            while self._waiting or any(call.place is not None for call in self._running.values()):
                self._give_out()
                finished, _ = ray.wait(list(self._running), timeout=_WAIT_SECONDS)
                self._work.checkpoint()
                for reference in finished:
                    yield from self._finish(reference)
                if not finished:
                    connection.require_head()
                    self._replace_slow()
        finally:
            for reference, call in self._running.items():
                if call.place is None:
                    self._executor.starting[reference] = call
                else:
                    _end(call.actor)

    def _give_out(self) -> None:
        """A task for each idle worker, and more workers while tasks wait."""
        while self._waiting and self._executor.idle:
            actor, place = self._executor.idle.pop(), self._waiting.popleft()
            reference = actor.do.remote(self._kind, self._put, self._tasks[place])
            self._running[reference] = Running(actor, place)
        starting = sum(call.place is None for call in self._running.values())
        wanted = self._executor.wanted(len(self._tasks)) if len(self._waiting) > starting else 0
        for _ in range(min(len(self._waiting) - starting, wanted - len(self._running))):
            call = self._executor.start()
            self._running[call.actor.prepare.remote()] = call

    def _finish(self, reference: Any) -> Iterator[Part]:
        """The parts of a task that has ended, or none where its worker was lost."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        call = self._running.pop(reference)
        try:
            message: bytes = ray.get(reference)
        except RayTaskError as error:
            _end(call.actor)
            raise WorkersRefused(f"A worker failed: {first_line(error.cause)}", next_step=WORK_HERE) from error
        except RayError as error:
            self._lose(call, first_line(error))
            return
        if call.place is None:
            parts_of(message, READY)
            self._executor.idle.append(call.actor)
        else:
            self._executor.idle.append(call.actor)  # also where the task failed: the worker is sound
            key = task_hash(self._kind, self._shared, self._tasks[call.place])
            for data in parts_of(message, key):
                yield Part(call.place, data)

    def _lose(self, call: Running, reason: str) -> None:
        """Do the task again elsewhere; give up where it has cost too many workers.

        Raises:
            WorkersDown: It has.
        """
        _end(call.actor)
        self._lost[call.place] += 1
        logger().warning("worker lost", reason=reason, task=call.place, again=self._lost[call.place] < TRIES)
        if self._lost[call.place] >= TRIES:
            what = "before they were ready" if call.place is None else "at the same task"
            raise WorkersDown(
                f"{TRIES} workers of the Ray cluster were lost {what}: {reason}",
                kept="What the workers had finished is stored.",
                next_step=f"Look at their logs; they may lack memory, or kbsync. {WORK_HERE}",
            )
        if call.place is not None:
            self._waiting.appendleft(call.place)

    def _replace_slow(self) -> None:
        now = time.monotonic()
        for reference, call in list(self._running.items()):
            if now - call.since > self._executor.task_seconds:
                del self._running[reference]
                self._lose(call, f"it took more than {self._executor.task_seconds:.0f} s")


def _end(actor: Any) -> None:
    """End a worker, if the cluster is still there."""
    import ray

    if ray.is_initialized():
        ray.kill(actor)
