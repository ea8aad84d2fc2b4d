"""SIGTERM and SIGINT in the middle of a cycle, sent to real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.session import WRITER
from tests.support.paths import ROOT
from tests.support.world_app import write_configuration

STARTS_WITHIN, STOPS_WITHIN = 120, 60

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The receiving end of ``NOTIFY_SOCKET``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(STARTS_WITHIN)
        yield receiver


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``kbsync VERB`` and come back when it waits for its slow source."""
    config, marker = write_configuration(tmp_path), tmp_path / "asked"
    started: list[subprocess.Popen[str]] = []

    def run(*verb: str, settings: str = "", **more: str) -> subprocess.Popen[str]:
        config.write_text(config.read_text() + settings)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KBSYNC_")}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "OMP_NUM_THREADS": "1",
            **more,
        }
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "slow_kbsync.py"), str(config), str(marker), *verb],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        give_up = time.monotonic() + STARTS_WITHIN
        while not marker.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up, "the source was never asked"
            time.sleep(0.02)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def assert_lease_is_free(directory: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{directory / 'state' / 'ledger.sqlite3'}")
    try:
        with ledger.write() as tx:
            token = tx.acquire_lease(WRITER, "test", timedelta(minutes=1), datetime.now(UTC))
            tx.release_lease(token)
            assert token.token == 2, "held once before, and given back"
    finally:
        ledger.close()


def test_the_daemon_abandons_its_cycle_and_ends_well(tmp_path: Path, start: Start, systemd: socket.socket) -> None:
    process = start("daemon")
    assert systemd.recv(1000).startswith(b"READY=1\nSTATUS=")
    process.send_signal(signal.SIGTERM)
    assert systemd.recv(1000).startswith(b"STOPPING=1")
    out, err = process.communicate(timeout=STOPS_WITHIN)
    assert (process.returncode, out) == (0, ""), err
    assert "Stopped by SIGTERM" in err and "daemon stopped" in err
    assert "Traceback" not in err
    assert_lease_is_free(tmp_path)


def test_a_stage_that_does_not_stop_is_left_behind(tmp_path: Path, start: Start, systemd: socket.socket) -> None:
    process = start("daemon", settings='[schedule]\nstop_within = "1s"\n', SECONDS_AN_ITEM="300")
    assert systemd.recv(1000).startswith(b"READY=1")
    process.send_signal(signal.SIGTERM)
    assert b"EXTEND_TIMEOUT_USEC=11000000" in systemd.recv(1000)
    _, err = process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode == 0 and "stage abandoned" in err and "did not stop within 1 s" in err


def test_a_stage_that_makes_no_progress_loses_the_watchdog(
    tmp_path: Path, start: Start, systemd: socket.socket
) -> None:
    settings = '[schedule]\ndeadline = "3s"\nstop_within = "1s"\n'
    process = start("daemon", settings=settings, SECONDS_AN_ITEM="300", WATCHDOG_USEC="400000")
    told = [systemd.recv(1000)]
    while b"does not stop" not in told[-1]:
        told.append(systemd.recv(1000))
    assert told[0].startswith(b"READY=1") and told[1].startswith(b"WATCHDOG=1")
    assert b"WATCHDOG=1" not in systemd.recv(1000)
    process.kill()


def test_a_hangup_takes_a_right_configuration_and_refuses_a_wrong_one(
    tmp_path: Path, start: Start, systemd: socket.socket
) -> None:
    process = start("daemon", SECONDS_AN_ITEM="0.01")
    config = tmp_path / "kbsync.toml"
    right = config.read_text()

    def hang_up(text: str) -> list[str]:
        config.write_text(text)
        process.send_signal(signal.SIGHUP)
        told = [systemd.recv(1000).decode()]
        while not told[-1].startswith("READY=1\nSTATUS=") or "configuration" not in told[-1]:
            told.append(systemd.recv(1000).decode())
        assert any(line.startswith("RELOADING=1\nMONOTONIC_USEC=") for line in told)
        return told

    assert "new configuration refused" in hang_up(right + '[schedule]\nsync = "often"\n')[-1]
    assert "configuration reloaded" in hang_up(right + '[schedule]\nsync = "17 3 * * 7"\n')[-1]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=STOPS_WITHIN)
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    (refused,) = [line for line in lines if line["event"] == "configuration refused"]
    assert "schedule.sync" in refused["problems"][0] and refused["kept"] == "The old configuration stays."
    (taken,) = [line for line in lines if line["event"] == "configuration reloaded"]
    assert taken["schedule"] == {"sync": "17 3 * * 7"} and process.returncode == 0


def test_a_command_abandons_its_stage_and_ends_well(tmp_path: Path, start: Start) -> None:
    process = start("sync")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=STOPS_WITHIN)
    assert (process.returncode, out) == (0, ""), err
    assert "Stopped by SIGTERM" in err and "What was finished is kept" in err
    assert_lease_is_free(tmp_path)


def test_a_second_ctrl_c_does_not_wait_and_still_gives_the_lease_back(tmp_path: Path, start: Start) -> None:
    process = start("sync")
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=STOPS_WITHIN)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err
    assert_lease_is_free(tmp_path)
