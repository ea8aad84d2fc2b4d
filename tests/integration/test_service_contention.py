"""Two daemons and a cron job on one ledger: one works, the others say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain import audit
from kbsync.ledger.ledger import SqlLedger
from tests.support.paths import ROOT
from tests.support.world_app import MAIN, write_configuration

PATIENCE = 240


class Process:
    """A ``kbsync`` over the slow world; its log is read while it runs."""

    def __init__(self, directory: Path, config: Path, name: str, *verb: str) -> None:
        self.log, self.asked = directory / f"{name}.log", directory / f"{name}.asked"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KBSYNC_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "SECONDS_AN_ITEM": "4",
        }
        command = [
            sys.executable,
            str(ROOT / "tests" / "support" / "slow_kbsync.py"),
            str(config),
            str(self.asked),
            *verb,
        ]
        with self.log.open("wb") as stream:
            self.popen = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in found if line["event"] == name]

    def wait_for(self, there: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not there():
            assert self.popen.poll() is None and time.monotonic() < give_up, self.log.read_text(encoding="utf-8")
            time.sleep(0.05)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    config = write_configuration(tmp_path, MAIN + '[schedule]\nsync = "2s"\njitter = "0s"\n')
    started: list[Process] = []

    def start(name: str, *verb: str) -> Process:
        started.append(Process(tmp_path, config, name, *verb))
        return started[-1]

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()


def test_one_works_and_the_others_say_so(run: Callable[..., Process], tmp_path: Path) -> None:
    first = run("first", "daemon")
    first.wait_for(first.asked.exists)
    second, cron = run("second", "daemon"), run("cron", "sync")
    assert cron.popen.wait(PATIENCE) == 75
    holder = f"pid {first.popen.pid}"
    assert holder in cron.log.read_text(encoding="utf-8"), "it names who works"
    second.wait_for(lambda: second.events("cycle skipped"))
    assert holder in second.events("cycle skipped")[0]["reason"]
    first.wait_for(lambda: first.events("cycle ended"))
    assert first.events("cycle ended")[0]["outcome"] == "promoted"
    second.wait_for(lambda: second.events("cycle ended"))
    assert second.events("cycle ended")[0]["outcome"] == "nothing to do", "its turn came, and nothing was left"
    for daemon in (first, second):
        daemon.popen.send_signal(signal.SIGTERM)
    assert [daemon.popen.wait(PATIENCE) for daemon in (first, second)] == [0, 0]
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite3'}")
    with ledger.read() as tx:
        events = tx.audit()
        assert [v.number for v in tx.versions()] == [1]
    ledger.close()
    assert audit.verify(events) is None
    assert [e.kind for e in events].count("promote") == 1
