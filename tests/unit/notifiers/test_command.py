"""The command, for real: a program that runs."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.command import CommandNotifier
from tests.support.announcements import NEWS

SECOND = timedelta(seconds=1)


def command(directory: Path, code: str, timeout: timedelta = 20 * SECOND) -> CommandNotifier:
    return CommandNotifier([sys.executable, "-c", code], directory, timeout)


def test_a_command_hears_everything_on_its_standard_input(tmp_path: Path) -> None:
    code = "import os, sys; open('heard', 'w').write(os.environ['KBSYNC_DELIVERY'] + '\\n' + sys.stdin.read())"
    command(tmp_path, code).deliver(NEWS)
    delivery, said = (tmp_path / "heard").read_text().split("\n")
    assert delivery == NEWS.delivery
    assert json.loads(said)["data"] == {
        "alias": "current",
        "delivery": NEWS.delivery,
        "hash": "a" * 64,
        "move": 7,
        "moved_at": "2026-03-01T00:00:00.000000Z",
        "directory": "",
        "path": "/var/lib/kbsync/current",
        "version": 3,
    }


def test_a_command_that_fails_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(NotifierFailed, match="code 3: no room"):
        command(tmp_path, "import sys; print('no\\nroom', file=sys.stderr); sys.exit(3)").deliver(NEWS)
    with pytest.raises(NotifierFailed, match="No such file"):
        CommandNotifier(["/nowhere/at-all"], tmp_path, SECOND).deliver(NEWS)


@pytest.mark.slow
def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    )
    with pytest.raises(NotifierFailed, match="did not end"):
        command(tmp_path, code, 3 * SECOND).deliver(NEWS)
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 20
    while _lives(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
