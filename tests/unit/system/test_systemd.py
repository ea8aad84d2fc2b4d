from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from kbsync.system.systemd import reloading, sd_notify, watchdog_seconds


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert sd_notify("READY=1") is False


@pytest.mark.parametrize("abstract", [False, True])
def test_sends_one_datagram(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, abstract: bool) -> None:
    name = f"@kbsync-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name[1:]}" if abstract else name)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert sd_notify("READY=1", "STATUS=two\nlines") is True
        assert receiver.recv(1000) == b"READY=1\nSTATUS=two lines"


def test_a_socket_that_nobody_reads_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert sd_notify("READY=1") is False


def test_the_watchdog_is_told_twice_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_seconds() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_seconds() == 15
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None, "it watches another process"


def test_a_reload_says_when(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert reloading() is True
        state, _, at = receiver.recv(1000).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1" and abs(int(at) - time.monotonic() * 1e6) < 60e6
