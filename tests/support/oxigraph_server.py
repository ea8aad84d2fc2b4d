"""A real SPARQL server for tests: ``oxigraph serve`` on a free loopback port, empty, in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

BINARY = Path(sys.executable).with_name("oxigraph")
"""The executable that the ``oxigraph`` package puts beside the interpreter."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OxigraphServer:
    """A context manager; it ends only the process that it started.

    ``query_timeout`` is the server's own limit for a query, in whole seconds.
    """

    def __init__(
        self, *, port: int | None = None, query_timeout: int | None = None, ready_within: float = 15.0
    ) -> None:
        self.port = port or free_port()
        self._limits = ["--timeout-s", str(query_timeout)] if query_timeout else []
        self._ready_within = ready_within
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"{self.url}/query"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(BINARY), "serve", "--bind", f"127.0.0.1:{self.port}", *self._limits],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + self._ready_within
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"oxigraph ended at once with code {self._process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                if time.monotonic() > give_up:
                    self.stop()
                    raise RuntimeError(f"oxigraph did not listen on port {self.port}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def replace(self, turtle: str) -> None:
        """Make the default graph hold exactly ``turtle``."""
        self._send("PUT", "/store?default", "text/turtle", turtle)

    def load(self, turtle: str) -> None:
        """Add ``turtle`` to the default graph."""
        self._send("POST", "/store?default", "text/turtle", turtle)

    def update(self, sparql: str) -> None:
        """Run a SPARQL update."""
        self._send("POST", "/update", "application/sparql-update", sparql)

    def _send(self, method: str, path: str, media_type: str, body: str) -> None:
        request = urllib.request.Request(
            self.url + path, data=body.encode(), method=method, headers={"Content-Type": media_type}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def __enter__(self) -> OxigraphServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
