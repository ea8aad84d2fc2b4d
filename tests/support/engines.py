"""Other SPARQL engines for tests, started where they are installed: Virtuoso, rdflib-endpoint, Comunica.

They are looked for on the ``PATH`` and in the directories of ``KBSYNC_ENGINES`` (separated by colons): ``virtuoso-t``
and ``isql-vt`` (Debian's ``virtuoso-opensource-7``), ``rdflib-endpoint`` (package index),
``comunica-sparql-file-http`` (npm's ``@comunica/query-sparql-file``).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyoxigraph

from tests.support.oxigraph_server import OxigraphServer, free_port

GRAPH = "http://www.wikidata.org"
_ASK = "SELECT ?s WHERE { ?s ?p ?o } LIMIT 1"


def found(program: str) -> str | None:
    """The path of a program of an engine; None if it is not installed."""
    places = os.pathsep.join((os.environ.get("KBSYNC_ENGINES", ""), os.environ.get("PATH", "")))
    return shutil.which(program, path=places)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def n_triples(turtle: str) -> bytes:
    triples = pyoxigraph.parse(turtle.encode(), format=pyoxigraph.RdfFormat.TURTLE)
    return pyoxigraph.serialize(triples, format=pyoxigraph.RdfFormat.N_TRIPLES)


class Engine(ABC):
    """A server in a directory of its own; a context manager that ends only the processes that it started."""

    name: str
    programs: tuple[str, ...]

    def __init__(self) -> None:
        self.port = free_port()
        self._scratch = tempfile.TemporaryDirectory(prefix=f"kbsync-{self.name}-")
        self.place = Path(self._scratch.name)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> list[str]:
        """Programs that are not installed."""
        return [program for program in cls.programs if not found(program)]

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version of what is installed."""

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The address that takes queries."""

    @abstractmethod
    def replace(self, turtle: str) -> None:
        """Make the default graph hold exactly ``turtle``."""

    def close(self) -> None:
        self._end()
        self._scratch.cleanup()

    def _start(self, command: Sequence[str], *, within: float = 240.0) -> None:
        log = (self.place / "engine.log").open("wb")
        self._process = subprocess.Popen(
            command, cwd=self.place, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        give_up = time.monotonic() + within
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                said = (self.place / "engine.log").read_text(errors="replace")[-500:]
                raise RuntimeError(f"{self.name} does not answer: {said}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("localhost", self.port), timeout=1):
                pass
            asked = urllib.parse.urlencode({"query": _ASK}).encode()
            request = urllib.request.Request(
                self.endpoint, data=asked, headers={"Accept": "application/sparql-results+json"}
            )
            with urllib.request.urlopen(request, timeout=200) as response:
                response.read()
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _end(self) -> None:
        """End the server and the workers that it started, which are in its process group."""
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(timeout=5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Oxigraph(Engine):
    name = "oxigraph"
    programs = ()

    @classmethod
    def version(cls) -> str:
        return importlib.metadata.version("oxigraph")

    def __init__(self) -> None:
        super().__init__()
        self._server = OxigraphServer()
        self._server.start()

    @property
    def endpoint(self) -> str:
        return self._server.endpoint

    def replace(self, turtle: str) -> None:
        self._server.replace(turtle)

    def close(self) -> None:
        self._server.stop()
        super().close()


class Virtuoso(Engine):
    """``max_rows``: the number of rows after which answers are cut off."""

    name = "virtuoso"
    programs = ("virtuoso-t", "isql-vt")

    @classmethod
    def version(cls) -> str:
        told = _said(str(found("virtuoso-t")), "-?")
        return told.partition("Version ")[2].partition(" ")[0]

    def __init__(self, *, max_rows: int = 100_000) -> None:
        super().__init__()
        self._sql_port = free_port()
        (self.place / "virtuoso.ini").write_text(
            f"""[Database]
DatabaseFile = {self.place}/virtuoso.db
ErrorLogFile = {self.place}/virtuoso.log
LockFile = {self.place}/virtuoso.lck
TransactionFile = {self.place}/virtuoso.trx
xa_persistent_file = {self.place}/virtuoso.pxa
[TempDatabase]
DatabaseFile = {self.place}/temporary.db
TransactionFile = {self.place}/temporary.trx
[Parameters]
ServerPort = 127.0.0.1:{self._sql_port}
DirsAllowed = {self.place}
NumberOfBuffers = 10000
MaxDirtyBuffers = 6000
[HTTPServer]
ServerPort = 127.0.0.1:{self.port}
ServerRoot = {self.place}
ServerThreads = 5
[SPARQL]
ResultSetMaxRows = {max_rows}
"""
        )
        self._start([str(found("virtuoso-t")), "-c", str(self.place / "virtuoso.ini"), "-f"])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/sparql?{urllib.parse.urlencode({'default-graph-uri': GRAPH})}"

    def replace(self, turtle: str) -> None:
        triples = self.place / "world.nt"
        triples.write_bytes(n_triples(turtle))
        self._sql(
            "log_enable(3,1);",
            f"SPARQL CLEAR GRAPH <{GRAPH}>;",
            f"DB.DBA.TTLP_MT(file_to_string_output('{triples}'), '', '{GRAPH}', 255);",
        )

    def _sql(self, *statements: str) -> None:
        script = self.place / "script.sql"
        script.write_text("\n".join(statements) + "\n")
        done = subprocess.run(
            [str(found("isql-vt")), f"127.0.0.1:{self._sql_port}", "dba", "dba", str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode or "***" in done.stderr + done.stdout:
            raise RuntimeError(f"Virtuoso refuses: {done.stdout}{done.stderr}")


class _Restarting(Engine):
    """Reads a file when it starts, so that another world is another process."""

    def replace(self, turtle: str) -> None:
        self._end()
        (self.place / "world.nt").write_bytes(n_triples(turtle))
        self.port = free_port()
        self._start(self.command())

    @abstractmethod
    def command(self) -> list[str]:
        """What serves ``world.nt``."""


class RdflibEndpoint(_Restarting):
    name = "rdflib-endpoint"
    programs = ("rdflib-endpoint",)

    @classmethod
    def version(cls) -> str:
        python = Path(str(found("rdflib-endpoint"))).with_name("python")
        return _said(str(python), "-c", "import importlib.metadata as m; print(m.version('rdflib-endpoint'))").strip()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def command(self) -> list[str]:
        return [str(found("rdflib-endpoint")), "serve", "--host", "127.0.0.1", "--port", str(self.port), "world.nt"]


class Comunica(Engine):
    """Reads its file again for every query."""

    name = "comunica"
    programs = ("comunica-sparql-file-http", "node")

    @classmethod
    def version(cls) -> str:
        package = Path(str(found("comunica-sparql-file-http"))).resolve().parents[1] / "package.json"
        return str(json.loads(package.read_text())["version"])

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}/sparql"

    def replace(self, turtle: str) -> None:
        world = self.place / "world.nt"
        world.write_bytes(n_triples(turtle))
        if self._process is None:
            program = str(found("comunica-sparql-file-http"))
            self._start([str(found("node")), program, "-p", str(self.port), "-w", "1", "-t", "600", "-i", str(world)])


ENGINES: dict[str, type[Engine]] = {kind.name: kind for kind in (Oxigraph, Virtuoso, RdflibEndpoint, Comunica)}
