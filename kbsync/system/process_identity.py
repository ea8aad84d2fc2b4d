"""The identity of a process, by which another process on the same machine can tell whether it still runs.

A process number alone proves nothing: numbers are used again, each container counts its own, and every machine has a
process 7. Boot id, process namespace, number and start time together identify one process for ever (ADR 0007).
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def process_label() -> str:
    """This process as people name it: its host and its number."""
    return f"{socket.gethostname()} pid {os.getpid()}"


def this_process(proc: Path = _PROC) -> str | None:
    """The identity of this process: ``boot id/process namespace/pid/start time``.

    The start time is in clock ticks since the boot. None where the system does not tell (anything but Linux); a lease
    can then only run out.
    """
    pid = os.getpid()
    start = _start_time(pid, proc)
    try:
        return None if start is None else f"{_here(proc)}/{pid}/{start}"
    except OSError:
        return None


def is_gone(process: str | None, proc: Path = _PROC) -> bool:
    """Whether the process with that identity certainly does not run any more.

    False where that can't be told: for another machine, another boot or another container, and on a system that does
    not tell.
    """
    if process is None:
        return False
    try:
        boot, namespace, pid, start = process.split("/")
        if f"{boot}/{namespace}" != _here(proc) or not (proc / "self").exists():
            return False
        return _start_time(int(pid), proc) != int(start)
    except (OSError, ValueError):
        return False


def _here(proc: Path) -> str:
    boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{(proc / 'self/ns/pid').readlink().name.strip('pid:[]')}"


def _start_time(pid: int, proc: Path) -> int | None:
    """Field 22 of ``/proc/PID/stat``; None where there is no such process, or only its exit status is left.

    Raises ``OSError`` where the process exists and may not be looked at.
    """
    try:
        # The name in parentheses may hold any character, blanks and parentheses too.
        fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # A process whose first thread has ended looks like a zombie while its other threads go on.
        dead = fields[0] in ("Z", "X") and len(list((proc / str(pid) / "task").iterdir())) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if dead else int(fields[19])
