"""Tells systemd the state of the service (the protocol of ``sd_notify(3)``: one datagram to a Unix socket)."""

from __future__ import annotations

import os
import socket
import time


def sd_notify(*lines: str) -> bool:
    """Send ``READY=1``, ``STOPPING=1``, ``STATUS=...``; False (and nothing else) where no systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall("\n".join(line.replace("\n", " ") for line in lines).encode())
    except OSError:
        return False
    return True


def reloading() -> bool:
    """Say that the configuration is read anew; systemd wants the time of it, so as not to take an older message for
    it."""
    return sd_notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_seconds() -> float | None:
    """Half the time after which systemd assumes that a silent service is dead; None if it does not watch this one."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return max(0.1, int(microseconds) / 2e6)
