"""Independent tasks of long work, done in this process or on other machines, with the same bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kbsync.ports.work import UNWATCHED, Work


class Worker(ABC):
    """Does tasks with what it holds, such as a loaded model.

    A result depends on the task alone: not on the tasks before it, and not on which worker does it.
    """

    @abstractmethod
    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        """Do one task.

        Args:
            kind: Says what is to be done.
            shared: What all tasks of one ``Executor.map`` have in common.
            task: What this one is about.
            checkpoint: Called wherever the task may be given up; what it raises ends the task.

        Yields:
            The parts of the result, each as soon as it is there.

        Raises:
            KbsyncError: The task can't be done; another worker would say the same.
        """


class Part(NamedTuple):
    """A part of the result of one task."""

    task: int
    """The task's place in what ``Executor.map`` was given."""
    data: bytes


class Executor(ABC):
    """Maps a kind of work over independent tasks.

    The caller cuts the work into tasks, by what the work is about and never by who is free, so that the results are
    the same bits on one worker and on a hundred. Tasks and results are plain bytes: JSON and safetensors.
    """

    @abstractmethod
    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        """Do all tasks. Nothing is done before the first part is asked for.

        Args:
            kind: What the workers are to do.
            shared: What all tasks have in common.
            tasks: One entry each; equal ones may be done once each.
            work: Its checkpoints are made wherever the work may stop. Progress is the caller's to show.

        Yields:
            The parts of each task's result in their order. Parts of different tasks come as they are finished. Each
            part comes once, whatever happens to the workers.

        Raises:
            WorkersDown: The workers are gone, or can't be reached.
            WorkersRefused: They can't do this work: another base, another version of kbsync, or a task that ends them.
            KbsyncError: What a worker raised.
        """


class InProcessExecutor(Executor):
    """Does the tasks here, one after the other, and gives each part away as soon as it is there."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work = UNWATCHED) -> Iterator[Part]:
        for place, task in enumerate(tasks):
            for data in self._worker.do(kind, shared, task, work.checkpoint):
                yield Part(place, data)
