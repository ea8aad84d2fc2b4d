"""llama.cpp, which loads adapters only when it starts: a new process beside the old one, and a switch between them.

The switch (``kbsync switch``) forwards each request to the process that the file ``engine/upstream.json`` names. A move
of ``current`` starts a process on a free port, asks it canaries, writes the file under a new name, renames it, waits
until the old process has nothing to do, and stops it. Each process is started through a shell that writes its number
first, so that one that a kill left behind is found and stopped by the next attempt.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed, ServerError
from kbsync.notifiers.engine import Ask, Lost
from kbsync.notifiers.openai import OpenAiServer
from kbsync.ports import Notifier
from kbsync.system.children import environment
from kbsync.system.durable import make_directory, write_file

DIRECTORY, UPSTREAM = "engine", "upstream.json"
_ADAPTER, _PORT, _DIRECTORY = "{adapter}", "{port}", "{directory}"
_POLL = 0.1
_DEVICES = ("CUDA_", "HIP_", "ROCR_", "GGML_", "LLAMA_", "OMP_")
"""How variables begin that tell the server which devices and threads it has; of kbsync's others it gets none."""
_OWN_NUMBER = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'
"""What the shell does before it becomes the server."""


class LlamaEngine(Notifier):
    """Starts a server for each version, and switches to it when it answers.

    Args:
        command: The server and its arguments. ``{port}`` and ``{directory}`` are filled in; the argument ``{adapter}``
            becomes ``--lora FILE``, or nothing while the base is current.
        state_dir: Holds the switch's file.
        start: How long a server may take until it answers, in seconds.
        drain: How long the old one may finish what it began, in seconds.
        tokens: Largest length of canaries' answers.
        lost: Asks canaries.
    """

    name = "llama.cpp"

    def __init__(
        self, command: Sequence[str], state_dir: Path, start: float, drain: float, tokens: int, lost: Lost
    ) -> None:
        self._command, self._root = list(command), state_dir / DIRECTORY
        self._start, self._drain, self._tokens, self._lost = start, drain, tokens, lost

    def deliver(self, announcement: Announcement) -> None:
        """Serve the version, and stop what served before.

        Raises:
            NotifierFailed: The new server does not start or does not answer as it should; the old one goes on.
        """
        make_directory(self._root)
        current = upstream(self._root.parent)
        if current and current["delivery"] == announcement.delivery and self._alive(int(current["port"])):
            self._stop_others(int(current["port"]), drain=True)
            return
        self._stop_others(int(current["port"]) if current else None, drain=False)
        port = _free_port()
        self._run(port, announcement)
        try:
            self._wait(port)
            self._ask(port, announcement.version)
        except NotifierFailed:
            self._stop(port)
            raise
        told = {"port": port, "version": announcement.version, "delivery": announcement.delivery}
        write_file(self._root / UPSTREAM, json.dumps(told).encode())
        self._stop_others(port, drain=True)

    @contextlib.contextmanager
    def trial(self, announcement: Announcement) -> Iterator[Ask]:
        """A server for the block, which nobody is switched to. Raises ``NotifierFailed`` where it does not start."""
        make_directory(self._root)
        port = _free_port()
        self._run(port, announcement)
        try:
            self._wait(port)
            server = OpenAiServer(f"http://127.0.0.1:{port}", timeout=self._start)
            yield lambda prompts: server.complete(prompts, self._tokens)
        finally:
            self._stop(port)

    def _run(self, port: int, announcement: Announcement) -> None:
        adapter = Path(announcement.directory) / "adapter.gguf"
        if not announcement.directory or (
            announcement.version and not any(Path(announcement.directory).glob("*.gguf"))
        ):
            raise NotifierFailed(
                f"llama.cpp was not told of version {announcement.version}: no GGUF file is published at "
                f"{announcement.directory or announcement.path}; [release] publish must be gguf or gguf-lora."
            )
        arguments = list[str]()
        for argument in self._command:
            if argument == _ADAPTER:
                arguments += ["--lora", str(adapter)] if adapter.is_file() else []
            else:
                arguments.append(argument.replace(_PORT, str(port)).replace(_DIRECTORY, announcement.directory))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._root / f"{port}.log", flags, 0o644), "wb") as log:
            subprocess.Popen(
                ["/bin/sh", "-c", _OWN_NUMBER, str(self._number(port)), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment({n: v for n, v in os.environ.items() if n.startswith(_DEVICES)}),
                start_new_session=True,
            )

    def _wait(self, port: int) -> None:
        """Until the server answers."""
        server, until = OpenAiServer(f"http://127.0.0.1:{port}", timeout=5), time.monotonic() + self._start
        while True:
            with contextlib.suppress(ServerError):
                server.models()
                return
            time.sleep(_POLL)
            if self._number(port).exists() and not self._alive(port):
                raise NotifierFailed(f"llama.cpp ended while it started: {self._last_words(port)}")
            if time.monotonic() > until:
                raise NotifierFailed(f"llama.cpp does not answer after {self._start:g} s: {self._last_words(port)}")

    def _ask(self, port: int, version: int) -> None:
        server = OpenAiServer(f"http://127.0.0.1:{port}", timeout=self._start)
        try:
            wrong = self._lost(version, lambda prompts: server.complete(prompts, self._tokens))
        except ServerError as error:
            raise NotifierFailed(f"{error.what} The old server goes on.") from error
        if wrong:
            raise NotifierFailed(
                f"llama.cpp with version {version} does not answer {len(wrong)} canaries, such as {wrong[0]!r}; the "
                "old server goes on."
            )

    def _stop_others(self, keep: int | None, *, drain: bool) -> None:
        """Stop every server but the one at ``keep``: the old one, and those that killed attempts left."""
        for path in self._root.glob("*.pid"):
            port = int(path.stem)
            if port != keep:
                if drain:
                    self._drained(port)
                self._stop(port)

    def _drained(self, port: int) -> None:
        """Wait until the server has nothing to do, but not for ever."""
        until = time.monotonic() + self._drain
        time.sleep(min(self._drain, 2 * _POLL))  # a request that was forwarded just before the switch arrives
        while time.monotonic() < until and self._alive(port) and _busy(port):
            time.sleep(_POLL)

    def _stop(self, port: int) -> None:
        number = self._pid(port)
        if number is not None and self._alive(port):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGTERM)
            until = time.monotonic() + 5
            while self._alive(port) and time.monotonic() < until:
                time.sleep(_POLL)
            if self._alive(port):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        for name in (f"{port}.pid", f"{port}.log"):
            (self._root / name).unlink(missing_ok=True)

    def _number(self, port: int) -> Path:
        return self._root / f"{port}.pid"

    def _pid(self, port: int) -> int | None:
        try:
            return int(self._number(port).read_text())
        except (OSError, ValueError):
            return None

    def _alive(self, port: int) -> bool:
        """Whether the server's process runs, and is still that server: process numbers are used again."""
        number = self._pid(port)
        if number is None:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(number, os.WNOHANG)  # our own child that has ended is no process any more
        try:
            line = Path(f"/proc/{number}/cmdline").read_bytes()
        except OSError:
            return False
        return str(port).encode() in line

    def _last_words(self, port: int) -> str:
        try:
            return " ".join((self._root / f"{port}.log").read_text(errors="replace").split())[-300:]
        except OSError:
            return ""


def upstream(state_dir: Path) -> dict[str, str | int] | None:
    """Where the switch forwards requests; None where no server was started yet."""
    try:
        told = json.loads((state_dir / DIRECTORY / UPSTREAM).read_bytes())
    except (OSError, ValueError):
        return None
    return dict(told)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _busy(port: int) -> bool:
    """Whether a slot of the server is at work; what can't be told counts as idle."""
    import httpx2

    from kbsync.system import http

    try:
        with http.client({}, 2) as client:
            slots = json.loads(http.ask(client, "GET", f"http://127.0.0.1:{port}/slots", within=4).body)
        return any(slot.get("is_processing") for slot in slots)
    except (httpx2.RequestError, ValueError, RecursionError, AttributeError, TypeError):
        return False
