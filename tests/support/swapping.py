"""A load of requests while versions are swapped, and kills between the steps of a swap."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.domain.announcement import Announcement
from kbsync.domain.judging import asserts
from kbsync.domain.version import PromptOutcome
from kbsync.notifiers.llama import DIRECTORY, LlamaEngine
from kbsync.stages.evaluate.served import Complete
from kbsync.web.switch import switching
from tests.support.llama_server import completion
from tests.support.served_world import TOKENS, ServedWorld


class Killed(BaseException):
    """Stands for SIGKILL: the program does nothing more, and the processes that it started continue."""


class MortalEngine(LlamaEngine):
    """Die before the step with this number; 0: never."""

    dies_at = 0
    step = 0

    def _reach(self) -> None:
        self.step += 1
        if self.step == self.dies_at:
            raise Killed

    def _run(self, port: int, announcement: Announcement) -> None:
        self._reach()
        super()._run(port, announcement)
        self._reach()

    def _ask(self, port: int, version: int) -> None:
        self._reach()
        super()._ask(port, version)
        self._reach()

    def _stop_others(self, keep: int | None, *, drain: bool) -> None:
        if drain:
            self._reach()
        super()._stop_others(keep, drain=drain)
        if drain:
            self._reach()


STEPS = 6
"""Places at which a swap can die."""


@dataclass
class Swapping:
    """The engine, the switch before it, and the versions that it is given."""

    world: ServedWorld
    root: Path
    url: str
    errors: list[str] = field(default_factory=list)
    requests: int = 0

    def engine(self, dies_at: int = 0) -> MortalEngine:
        command = [sys.executable, "-m", "tests.support.llama_process", "-m", str(self.world.gguf), "{adapter}"]
        engine = MortalEngine([*command, "--port", "{port}"], self.root, 60, 5, TOKENS, self.lost)
        engine.dies_at = dies_at
        return engine

    def announcement(self, version: int, move: int) -> Announcement:
        return Announcement(
            alias="current",
            move=move,
            version=version,
            hash=f"{version}",
            moved_at=datetime(2026, 1, 1, tzinfo=UTC),
            path=str(self.root / "current"),
            directory=str(self.root / "published" / str(version)),
        )

    def right(self, version: int) -> dict[str, str]:
        """By prompt, what a version must answer."""
        return {o.prompt: expected(o, version) for o in self.world.evaluation.outcomes if o.group == "edited"}

    def lost(self, version: int, complete: Complete) -> Sequence[str]:
        wanted = dict(list(self.right(version).items())[-2:])
        answers = complete(list(wanted))
        return [p for (p, city), a in zip(wanted.items(), answers, strict=True) if not asserts(a, (city,), prompt=p)]

    def answers(self, version: int) -> bool:
        """Whether the switch gives what this version says."""
        prompt, city = list(self.right(version).items())[-1]
        return asserts(completion(self.url, prompt, TOKENS), (city,), prompt=prompt)

    @property
    def processes(self) -> int:
        return len(list((self.root / DIRECTORY).glob("*.pid")))

    def kill(self) -> None:
        """Let the running server fall."""
        (number,) = (int(path.read_text()) for path in (self.root / DIRECTORY).glob("*.pid"))
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)

    @contextmanager
    def load(self, every: float = 0.0) -> Iterator[None]:
        """Requests without a pause while the block runs; each that fails is an error."""
        stop = threading.Event()
        prompt = next(iter(self.right(1)))

        def run() -> None:
            while not stop.is_set():
                try:
                    completion(self.url, prompt, 1)
                    self.requests += 1
                except Exception as error:  # whatever it is, a client would have seen it
                    self.errors.append(repr(error))
                time.sleep(every)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def expected(outcome: PromptOutcome, version: int) -> str:
    """What version 0, 1 or 2 says to an edited prompt; the last edited facts are version 2's alone."""
    if version == 2:
        return outcome.expected
    said = outcome.base_answer if version == 0 else outcome.previous_answer or ""
    return said.strip().rstrip(".")


@contextmanager
def swapping(world: ServedWorld, root: Path) -> Iterator[Swapping]:
    """The switch on a port of its own, and versions 0, 1 and 2 as they are published."""
    for number, delta in enumerate(world.deltas, 1):
        write_export(world.loaded, delta, root / "published" / str(number), ExportForm(format="gguf-lora"), {})
    (root / "published" / "0").mkdir()
    with switching(root, "127.0.0.1", 0) as url:
        made = Swapping(world, root, url)
        try:
            yield made
        finally:
            made.engine()._stop_others(None, drain=False)
