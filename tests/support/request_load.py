"""Requests to an OpenAI-compatible server without a pause, while something else happens."""

from __future__ import annotations

import threading
from types import TracebackType

from kbsync.notifiers.openai import OpenAiServer


class RequestLoad:
    """Asks for one token again and again while the block runs; each request that fails is an error."""

    def __init__(self, url: str, model: str, prompt: str, clients: int = 2) -> None:
        self._server, self._prompt = OpenAiServer(url, model, timeout=120), prompt
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.errors: list[str] = []
        self.requests = 0

    def __enter__(self) -> RequestLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._server.complete([self._prompt], 1)
                self.requests += 1
            except Exception as error:  # whatever it is, a client would have seen it
                self.errors.append(repr(error))
