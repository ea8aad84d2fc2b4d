"""How long ``/healthz`` takes beside a thousand connections that ask for nothing."""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.evidence.hardening.parts import Measured
from tests.support.sqlite_ledger import empty_ledger
from tests.support.world_app import write_configuration

CONNECTIONS = 1_000
SECONDS = 30.0
"""Three times as long as the server is patient with one of them."""
SAID = (b"", b"GET / HT", b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\ntok")
"""What the connections say before they fall silent."""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def measure(seed: int, connections: int = CONNECTIONS, seconds: float = SECONDS) -> Measured:
    """Serve the page from a process of its own, hold connections open, and take the slowest of many answers."""
    with tempfile.TemporaryDirectory(prefix="kbsync-silent-") as directory, _served(Path(directory)) as port:
        taken, opened = held(port, connections, seconds)
    details = {"asked": len(taken), "opened": opened, "median": round(sorted(taken)[len(taken) // 2], 4)}
    return Measured(figures={"silent.health_seconds": round(max(taken), 4)}, details=details)


def held(port: int, connections: int, seconds: float) -> tuple[list[float], int]:
    """Seconds of each answer of ``/healthz``, and how many connections were opened beside them: one that the server
    closes is opened again at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, connections + 200)), hard))
    end, opened, silent = time.monotonic() + seconds, 0, list[socket.socket]()
    ready = threading.Event()

    def keep() -> None:
        nonlocal opened
        while time.monotonic() < end:
            while len(silent) < connections:
                silent.append(_connect(port, SAID[opened % len(SAID)]))
                opened += 1
            ready.set()
            _drop_closed(silent)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    ready.wait(seconds)
    taken: list[float] = []
    while time.monotonic() < end:
        taken.append(_health(port))
        time.sleep(0.1)
    keeper.join()
    for connection in silent:
        connection.close()
    return taken, opened


def _connect(port: int, said: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    with suppress(OSError):
        connection.sendall(said)
    return connection


def _drop_closed(silent: list[socket.socket]) -> None:
    """Forget the connections that the server has closed; waits a moment for one."""
    poll = select.poll()
    known = {connection.fileno(): connection for connection in silent}
    for number in known:
        poll.register(number, select.POLLIN | select.POLLHUP | select.POLLERR)
    for number, _ in poll.poll(50):
        silent.remove(known[number])
        known[number].close()


def _health(port: int) -> float:
    """Seconds from connecting to the end of a right answer; a wrong one, or none, counts as a minute."""
    began, answer = time.monotonic(), b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(HEALTH)
            while piece := connection.recv(65536):
                answer += piece
    except OSError:
        return 60.0
    return time.monotonic() - began if answer.startswith(b"HTTP/1.1 200 ") else 60.0


@contextmanager
def _served(directory: Path) -> Iterator[int]:
    """``kbsync serve`` in a process of its own; yields its port."""
    config = write_configuration(directory)
    empty_ledger(directory / "state" / "ledger.sqlite3")
    command: Sequence[str] = [sys.executable, "-m", "kbsync", "--config", str(config), "serve", "--port", "0"]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("KBSYNC_")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=quiet)
    try:
        line = server.stdout.readline() if server.stdout else ""
        address = re.search(r":(\d+)/", line)
        if address is None:
            raise RuntimeError(f"kbsync serve said {line!r}")
        yield int(address[1])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
