"""The soak itself: events that happen at set times, and samples in between."""

from __future__ import annotations

import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kbsync.demo.snapshot import snapshot_lines
from kbsync.ledger import schema
from kbsync.system.durable import write_file
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.soak.clock import FastClock
from tests.evidence.soak.proxy import Proxy
from tests.evidence.soak.site import Daemon, PostgreSQL, days, prepare
from tests.evidence.soak.world import World, relations, script, server_time, table

LOOK_SECONDS = 2.0
QUIET_DAYS = 5.0
"""Days between the last change of the world and the end: a change is trusted after three days."""
KILLS = (1.7, 3.1, 4.4, 5.6, 6.9)
"""Days of a month on which the daemon is killed: early, so that the last process lives long enough to judge its
memory."""
RESTARTS = ((11.3, "fast"), (17.8, "immediate"))
OUTAGES = ((9.0, 9.6), (20.2, 20.7))
"""First and last day of each time in which the endpoint does not answer."""
MONTH = 30.0


@dataclass
class Progress:
    """What a run needs in order to go on after an interruption; written with every sample."""

    seed: int
    days: float
    speed: float
    start: str
    simulated: str
    done: int = 0
    lives: int = 0
    kills: int = 0
    restarts: int = 0
    resumed: int = 0
    unasked: int = 0
    """Times that the daemon ended by itself."""
    asked: int = 0
    met: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    ready: int = 0
    seconds: float = 0.0
    stops: list[tuple[str, str]] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    """Simulated day, number of the daemon's process, resident bytes."""


@dataclass(frozen=True)
class Happening:
    day: float
    name: str
    do: Callable[[], None]


class Soak:
    """One soak in the directory ``state``. ``say`` is given a line for everything that happens."""

    def __init__(self, state: Path, progress: Progress, say: Callable[[str], None]) -> None:
        self.state, self.progress, self.say = state, progress, say
        self.start = datetime.fromisoformat(progress.start)
        self.table, self.watched = table(), relations()
        self.world = World(self.table, self.start)
        self.log = state / "daemon.log"

    def run(self) -> Path:
        """Soak to the end, from where an earlier run was interrupted; returns the installation's configuration."""
        place = self.state / "world"
        fresh = not place.exists()
        with OxigraphServer(place) as server:
            if fresh:
                server.load("\n".join(snapshot_lines(self.table, self.start)) + "\n")
            database = PostgreSQL(self.state / "postgresql")
            try:
                share = 0.08
                with Proxy(server.port, share=share, seed=self.progress.seed + self.progress.resumed) as proxy:
                    self._soak(server, proxy, database)
            finally:
                database.stop()
        return self.state / "kbsync.toml"

    def _soak(self, server: OxigraphServer, proxy: Proxy, database: PostgreSQL) -> None:
        port = _free_port()
        config = prepare(self.state, self.table, self.watched, database.url, proxy.endpoint, port)
        schema.upgrade(database.url)
        clock = FastClock(datetime.now(UTC), datetime.fromisoformat(self.progress.simulated), self.progress.speed)
        clock.write(self.state / "clock.json")
        daemon = Daemon(config, self.state / "clock.json", self.log)
        daemon.lives = self.progress.lives
        agenda = self._agenda(server, proxy, database, daemon)
        for event in agenda[: self.progress.done]:
            self.say(f"day {event.day:5.2f}: {event.name} (before the interruption)")
        try:
            self._watch(agenda, server, proxy, daemon, clock, port)
        finally:
            daemon.abandon()

    def _watch(
        self,
        agenda: list[Happening],
        server: OxigraphServer,
        proxy: Proxy,
        daemon: Daemon,
        clock: FastClock,
        port: int,
    ) -> None:
        began, before = time.monotonic(), Progress(**vars(self.progress))
        daemon.start()
        end = self.start + timedelta(days=self.progress.days)
        while clock.now() < end:
            server.update(server_time(clock.now()))
            self._happen(agenda, clock)
            if daemon.ended() is not None:
                self.say(f"the daemon ended by itself with code {daemon.ended()}")
                self.progress.unasked += 1
                daemon.start()
            self._look(clock, daemon, proxy, before, port, time.monotonic() - began)
            time.sleep(LOOK_SECONDS)
        stopped = clock.now()
        code = daemon.stop()
        self.progress.stops.append((stopped.isoformat(), str(code)))
        self._save()
        self.say(f"stopped with exit code {code}")

    def _agenda(self, server: OxigraphServer, proxy: Proxy, database: PostgreSQL, daemon: Daemon) -> list[Happening]:
        progress, scale = self.progress, self.progress.days / MONTH
        happenings = []
        events = script(self.table, self.watched, progress.seed, max(3.0, progress.days - QUIET_DAYS))
        for event in events:
            name = f"{event.kind} of {event.property} of {self.table.label(event.subject)}"
            happenings.append(Happening(event.day, name, lambda e=event: self.world.happen(server, e)))  # type: ignore[misc]
        draw = random.Random(progress.seed)
        for day in KILLS:
            happenings.append(
                Happening(day * scale + draw.uniform(0, 0.4), "the daemon is killed", lambda: self._kill(daemon))
            )
        for day, mode in RESTARTS:
            name = f"PostgreSQL is restarted ({mode})"
            happenings.append(Happening(day * scale, name, lambda m=mode: self._restart(database, m)))  # type: ignore[misc]
        for first, last in OUTAGES:
            happenings.append(Happening(first * scale, "the endpoint goes away", proxy.down.set))
            happenings.append(Happening(last * scale, "the endpoint is back", proxy.down.clear))
        ordered = sorted(happenings, key=lambda h: (h.day, h.name))
        self._replay(ordered, events)
        return ordered

    def _replay(self, ordered: list[Happening], events: list[Any]) -> None:
        """Apply to ``world`` what an earlier run has already done to the server."""
        past = ordered[self.progress.done - 1].day if self.progress.done else -1.0
        for event in events:
            if event.day <= past:
                self.world.happen(None, event)

    def _happen(self, agenda: list[Happening], clock: FastClock) -> None:
        today = days(clock.now() - self.start)
        while self.progress.done < len(agenda) and agenda[self.progress.done].day <= today:
            happening = agenda[self.progress.done]
            happening.do()
            self.progress.done += 1
            self.progress.simulated = clock.now().isoformat()
            self._save()
            self.say(f"day {happening.day:5.2f}: {happening.name}")

    def _kill(self, daemon: Daemon) -> None:
        daemon.kill()
        self.progress.kills += 1
        daemon.start()

    def _restart(self, database: PostgreSQL, mode: str) -> None:
        database.restart(mode)
        self.progress.restarts += 1

    def _look(
        self, clock: FastClock, daemon: Daemon, proxy: Proxy, before: Progress, port: int, seconds: float
    ) -> None:
        progress = self.progress
        progress.simulated, progress.lives = clock.now().isoformat(), daemon.lives
        progress.seconds = before.seconds + seconds
        progress.asked = before.asked + proxy.asked
        progress.met = {k: before.met.get(k, 0) + proxy.met[k] for k in {*before.met, *proxy.met}}
        progress.samples.append((round(days(clock.now() - self.start), 3), daemon.lives, daemon.memory()))
        progress.looks += 1
        progress.ready += _ready(port)
        self._save()

    def _save(self) -> None:
        write_file(self.state / "progress.json", json.dumps(vars(self.progress)).encode())


def resumed(state: Path) -> Progress | None:
    """The progress of an interrupted run; None if there is none."""
    try:
        saved = json.loads((state / "progress.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    progress = Progress(**saved)
    progress.resumed += 1
    return progress


def begin(seed: int, length: float, minutes: float) -> Progress:
    """A new soak of ``length`` simulated days in ``minutes``.

    Its time ends before the machine's own time, so that its ledger holds nothing from the future.
    """
    start = (datetime.now(UTC) - timedelta(days=length + 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Progress(
        seed=seed, days=length, speed=length * 1440 / minutes, start=start.isoformat(), simulated=start.isoformat()
    )


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
