"""Runs a local SPARQL server, ``oxigraph serve``, on a free port of the loopback interface."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.system import http
from kbsync.system.children import environment

HOST = "127.0.0.1"
STOP_WITHIN = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_REQUEST_TIMEOUT = 60.0


class OxigraphServer:
    """A context manager: the server runs inside the ``with`` block, as a child process.

    Args:
        location: Directory for the data; None: they are kept in memory until the server ends.
        read_only: Open an existing location only for reading, as several processes may at once.
        ready_within: Seconds that the server may take to start.

    Raises:
        SourceError: On entering, the server can't start; in the other methods, it refuses.
        SourceDown: On entering, the server does not answer in time; in the other methods, it does not answer.
    """

    def __init__(self, location: Path | None = None, *, read_only: bool = False, ready_within: float = 15.0) -> None:
        self.location = location
        self._read_only = read_only
        self.port = 0
        self._ready_within = ready_within
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL that takes SPARQL queries."""
        return f"{self.url}/query"

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it is not running."""
        return self._process.pid if self._process else None

    def __enter__(self) -> OxigraphServer:
        binary = Path(sys.executable).parent / "oxigraph"
        if not binary.is_file():
            raise SourceError(f"{binary} is missing.", next_step="Install the extra: `pip install 'kbsync[demo]'`.")
        if self._read_only and (self.location is None or not self.location.is_dir()):
            raise SourceError(f"The local store {self.location} does not exist.", next_step="Correct source.endpoint.")
        self.port = _free_port()
        location = ["--location", str(self.location)] if self.location else []
        self._process = subprocess.Popen(
            [
                str(binary),
                "serve-read-only" if self._read_only else "serve",
                "--bind",
                f"{HOST}:{self.port}",
                *location,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def load(self, turtle: str) -> int:
        """Add Turtle to the store. Returns the number of triples that the store then holds."""
        self._send("/store?default", "text/turtle", turtle)
        query = "SELECT (COUNT(*) AS ?count) WHERE { ?s ?p ?o }"
        answer = self._send("/query", "application/sparql-query", query, accept="application/sparql-results+json")
        return int(json.loads(answer)["results"]["bindings"][0]["count"]["value"])

    def update(self, sparql: str) -> None:
        """Run a SPARQL update. The server does all of it or nothing."""
        self._send("/update", "application/sparql-update", sparql)

    def _wait(self) -> None:
        """Wait until the port accepts connections. If the process ends before, the error holds what it wrote."""
        process, deadline = self._running(), time.monotonic() + self._ready_within
        while time.monotonic() < deadline:
            if process.poll() is not None:
                _, words = process.communicate()
                raise SourceError(f"The SPARQL server ended at once: {words.decode(errors='replace').strip()}")
            try:
                with socket.create_connection((HOST, self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise SourceDown(f"The SPARQL server did not answer within {self._ready_within:g} seconds.")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SourceError("The SPARQL server does not run.", next_step="Use it inside its `with` block.")
        return self._process

    def _send(self, path: str, media_type: str, body: str, *, accept: str = "*/*") -> bytes:
        self._running()
        headers = {"Content-Type": media_type, "Accept": accept}
        try:
            with http.client(headers, _REQUEST_TIMEOUT) as client:
                response = client.post(self.url + path, content=body.encode())
        except http.FAILURES as error:
            raise SourceDown(f"The SPARQL server did not answer {path}: {error}") from error
        if not response.is_success:
            raise SourceError(f"The SPARQL server refused {path} ({response.status_code}): {response.text.strip()}")
        return response.content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
