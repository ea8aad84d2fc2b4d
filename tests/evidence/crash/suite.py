"""The tries: each crashes a cycle, runs the next one, and compares the result.

Every finished try is recorded as a JSON line, so that a suite that was interrupted goes on.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.evidence.crash.judge import examine
from tests.evidence.crash.process import (
    Place,
    finished,
    forked,
    killed_after,
    processor_seconds,
    run_kbsync,
    waited,
    watch,
)
from tests.evidence.crash.world import STARTS, World

FAULTS = ("disk full", "read-only store", "database restarted")
_BUSY, _STORE, _OK = 75, 74, 0


@dataclass(frozen=True, slots=True)
class Try:
    """One crash."""

    backend: str
    start: str
    """The installation that it begins with: one of ``STARTS``."""
    kind: str
    """``boundary``, ``moment`` or one of ``FAULTS``."""
    number: int
    """Of the place for ``boundary``, of the draw for ``moment``; for a fault it says when the fault begins."""

    @property
    def name(self) -> str:
        return f"{self.backend}-{self.start[0]}-{self.kind.replace(' ', '-')}-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a try."""

    name: str
    backend: str
    start: str
    kind: str
    hit: bool
    """The process was killed or met the fault."""
    place: str
    """Where that happened."""
    takeovers: int
    """Leases that were taken over from a killed process."""
    wrong: tuple[str, ...]
    """What did not hold afterwards."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An installation that was not crashed."""

    places: int
    """Places that its cycle passed."""
    seconds: float
    """Processor seconds of its cycle."""
    state: dict[str, Any]
    """Its state afterwards."""


class Suite:
    """Runs tries on one prepared world. ``seed`` draws the random moments."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._references: dict[tuple[str, str], Reference] = {}

    def reference(self, backend: str, start: str) -> Reference:
        if (backend, start) not in self._references:
            config, place = self._world.site(backend, start, f"{backend}-{start[0]}-reference"), Place()
            child = forked(lambda: self._sync(config, place), _log(config))
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            seconds = processor_seconds(child)
            assert waited(child) == _OK, _log(config).read_text()
            examined = self._examined(config)
            assert not examined["wrong"], examined["wrong"]
            self._references[backend, start] = Reference(place.count, seconds, examined["state"])
            self._world.drop(config)
        return self._references[backend, start]

    def run(self, attempt: Try) -> Outcome:
        """Crash a cycle, run the next one, and examine the installation."""
        expected = self.reference(attempt.backend, attempt.start)
        config, place = self._world.site(attempt.backend, attempt.start, attempt.name), Place()
        wrong: list[str] = []
        takeovers = 0
        try:
            hit = self._crash(attempt, config, place, expected)
            finished(lambda: run_kbsync(config, self._world.loaded, "sync"), _log(config))
            examined = self._examined(config)
            wrong, takeovers = examined["wrong"], examined["takeovers"]
            wrong += [
                f"{k} is another than without the crash" for k, v in expected.state.items() if examined["state"][k] != v
            ]
        except AssertionError as error:
            hit, wrong = True, [str(error)]
        if not wrong:
            self._world.drop(config)
        return Outcome(
            name=attempt.name,
            backend=attempt.backend,
            start=attempt.start,
            kind=attempt.kind,
            hit=hit,
            place=place.stage,
            takeovers=takeovers,
            wrong=tuple(wrong),
        )

    def _crash(self, attempt: Try, config: Path, place: Place, expected: Reference) -> bool:
        if attempt.kind == "boundary":
            child = forked(lambda: self._sync(config, place, die_at=attempt.number), _log(config))
            return waited(child) == -9
        if attempt.kind == "moment":
            draw = random.Random(f"{self._seed} {attempt.name}").random()
            child = forked(lambda: self._sync(config, place), _log(config))
            return killed_after(child, draw * expected.seconds)
        fault = {"disk full": self._disk_full, "read-only store": self._read_only}.get(attempt.kind, self._restart)
        return fault(attempt, config, place)

    def _disk_full(self, attempt: Try, config: Path, place: Place) -> bool:
        """Put the state directory on a small file system, which becomes full; then make it larger."""
        with _small_disk(config.parent / "state", free=attempt.number * 48) as grow:
            code = waited(forked(lambda: self._sync(config, place), _log(config)))
            assert code in (_OK, _STORE), f"exit {code}: {_log(config).read_text()[-2000:]}"
            grow()
            finished(lambda: run_kbsync(config, self._world.loaded, "sync"), _log(config))
        return code == _STORE

    def _read_only(self, attempt: Try, config: Path, place: Place) -> bool:
        """Make the store read-only from a certain place on; the ledger on PostgreSQL can still be written."""

        def protect(what: str) -> None:
            if place.count == attempt.number:
                _remount(state, "ro", check=False)

        state = config.parent / "state"
        with _small_disk(state, free=65536):
            code = waited(forked(lambda: self._sync(config, place, at_place=protect), _log(config)))
            assert code in (_OK, _STORE), f"exit {code}: {_log(config).read_text()[-2000:]}"
            _remount(state, "rw")
            finished(lambda: run_kbsync(config, self._world.loaded, "sync"), _log(config))
        return code == _STORE

    def _restart(self, attempt: Try, config: Path, place: Place) -> bool:
        """Restart the database server while the cycle waits at a certain place."""
        stopped, started = os.pipe(), os.pipe()

        def ask(what: str) -> None:
            if place.count == attempt.number:
                os.write(stopped[1], b"1")
                os.read(started[0], 1)

        child = forked(lambda: self._sync(config, place, at_place=ask), _log(config))
        os.close(stopped[1])
        assert self._world.postgres is not None
        reached = bool(os.read(stopped[0], 1))
        if reached:
            self._world.postgres.restart()
            os.write(started[1], b"1")
        code = waited(child)
        for end in (stopped[0], *started):
            os.close(end)
        assert code in (_OK, _STORE), f"exit {code}: {_log(config).read_text()[-2000:]}"
        return reached

    def _sync(
        self,
        config: Path,
        place: Place,
        die_at: int | None = None,
        at_place: Callable[[str], None] = lambda _: None,
    ) -> None:
        watch(place, die_at, at_place)
        run_kbsync(config, self._world.loaded, "sync")

    def _examined(self, config: Path) -> dict[str, Any]:
        out = config.parent / "examined.json"
        finished(lambda: examine(config, self._world.loaded, out), _log(config))
        examined: dict[str, Any] = json.loads(out.read_text())
        return examined


def planned(suite: Suite, backends: tuple[str, ...], moments: int, every: int = 1) -> Iterator[Try]:
    """The tries of a whole run.

    On each database: every ``every``-th place of both cycles, ``moments`` random moments, and the faults.
    """
    for backend in backends:
        for start in STARTS:
            places = suite.reference(backend, start).places
            yield from (Try(backend, start, "boundary", n) for n in range(1, places + 1, every))
        yield from (Try(backend, STARTS[n % 2], "moment", n) for n in range(moments))
        places = suite.reference(backend, STARTS[0]).places
        yield from (Try(backend, STARTS[0], "disk full", n) for n in range(1, 9, 1 if every == 1 else 4))
        if backend == "postgresql":
            some = range(2, places + 1, max(1, places // 6 * (1 if every == 1 else 3)))
            yield from (Try(backend, STARTS[0], kind, n) for kind in FAULTS[1:] for n in some)


def run_all(suite: Suite, tries: Iterator[Try], record: Path, show: Callable[[Outcome], None]) -> list[Outcome]:
    """Run the tries that ``record`` does not hold yet and add them to it; returns all outcomes that it holds then."""
    known = {}
    if record.exists():
        for line in record.read_text().splitlines():
            fields = json.loads(line)
            known[fields["name"]] = Outcome(**(fields | {"wrong": tuple(fields["wrong"])}))
    for attempt in tries:
        if attempt.name not in known:
            outcome = known[attempt.name] = suite.run(attempt)
            with record.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            show(outcome)
    return list(known.values())


@contextmanager
def _small_disk(directory: Path, *, free: int) -> Iterator[Callable[[], None]]:
    """Put ``directory`` on a file system in memory with ``free`` KiB of room; gives a function that makes it larger.

    Afterwards the files are back in a directory on the disk. Needs the right to mount.
    """
    aside = directory.with_name("aside")
    directory.rename(aside)
    directory.mkdir()
    used = sum(-(-p.stat().st_size // 4096) * 4 + 4 for p in aside.rglob("*"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + free}k", "tmpfs", str(directory)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(directory)], check=True)
        yield partial(_remount, directory, "size=256m")
        subprocess.run(["rm", "-rf", str(aside)], check=True)
        subprocess.run(["cp", "-a", str(directory), str(aside)], check=True)
    finally:
        subprocess.run(["umount", str(directory)], check=True)
        directory.rmdir()
        aside.rename(directory)


def _remount(directory: Path, option: str, *, check: bool = True) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(directory)], check=check)


def may_mount() -> bool:
    """Whether this process may mount; root in a container often may not."""
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return os.geteuid() == 0 and probe.returncode == 0


def _log(config: Path) -> Path:
    return config.parent / "log.txt"
