"""An OpenAI-compatible server (vLLM, SGLang, llama.cpp, …) that is asked for greedy completions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from kbsync import __version__
from kbsync.domain.errors import ServerDown, ServerError
from kbsync.ports import UNWATCHED, Work
from kbsync.system import http
from kbsync.system.hidden import hidden, shown_url

_SHOWN = 200
"""Characters of an answer that go into a message."""
_WHOLE = 2
"""The longest silence may be followed by as long a time in which the answer comes."""
_ADDRESS = "Give http://HOST:PORT."


class OpenAiServer:
    """Asks ``/v1/completions``, with the prompts as they are: a chat's template is in them already.

    Args:
        url: The server's address, with or without ``/v1``.
        model: What it calls the model; empty: the only one that it has.
        extra: More fields of each request.
        key: Sent as a bearer token; empty: none.
        timeout: Longest silence, in seconds.
    """

    def __init__(
        self, url: str, model: str = "", extra: Mapping[str, Any] | None = None, key: str = "", timeout: float = 60
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._model, self._extra, self._timeout = model, dict(extra or {}), timeout
        self._headers = {"User-Agent": f"kbsync/{__version__}"} | ({"Authorization": f"Bearer {key}"} if key else {})

    @property
    def name(self) -> str:
        """The server's host and port, for messages."""
        try:
            parts = urlsplit(self._url)
        except ValueError:
            return shown_url(self._url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def complete(self, prompts: Sequence[str], max_new_tokens: int, work: Work = UNWATCHED) -> list[str]:
        """Continue each prompt greedily.

        Returns:
            The continuations without their prompts, each cut at the first newline.

        Raises:
            ServerDown: It can't be reached, does not answer in time, or is overloaded.
            ServerError: It refuses the request, or its answer is none.
        """
        answers = []
        with self._client() as client:
            model = self._model or self._only_model(client)
            work.start("served", len(prompts))
            for prompt in prompts:
                asked = {"model": model, "prompt": prompt, "max_tokens": max_new_tokens, "temperature": 0}
                answer = self._ask(client, "POST", "/v1/completions", asked | self._extra)
                answers.append(self._text(answer).split("\n", 1)[0])
                work.advance()
            work.finish(f"{len(prompts)} prompts answered by {self.name}")
        return answers

    def models(self) -> tuple[str, ...]:
        """What it serves: the base, and the adapters that are loaded. Raises as ``complete`` does."""
        with self._client() as client:
            return self._models(client)

    def _client(self) -> httpx2.Client:
        try:
            return http.client(self._headers, self._timeout)
        except http.FAILURES as error:
            raise ServerDown(
                f"The server at {self.name} can't be reached: {hidden(str(error))}.",
                next_step="Correct the proxy in the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY).",
            ) from None

    def _models(self, client: httpx2.Client) -> tuple[str, ...]:
        answer = self._ask(client, "GET", "/v1/models")
        try:
            names = [entry["id"] for entry in answer["data"]]
        except (KeyError, TypeError) as error:
            raise self._strange(answer) from error
        if not all(isinstance(name, str) for name in names):
            raise self._strange(answer)
        return tuple(names)

    def _only_model(self, client: httpx2.Client) -> str:
        names = self._models(client)
        if len(names) == 1:
            return names[0]
        raise ServerError(
            f"The server at {self.name} has {len(names)} models: {', '.join(names) or 'none'}.",
            next_step="Name the one that serves the version with --model ([served] model).",
        )

    def _ask(self, client: httpx2.Client, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            response = http.ask(client, method, self._url + path, json=body, within=_WHOLE * self._timeout)
        except httpx2.InvalidURL:
            raise ServerError(f"The address {shown_url(self._url)!r} can't be read.", next_step=_ADDRESS) from None
        except httpx2.UnsupportedProtocol:
            raise ServerError(f"The address {shown_url(self._url)!r} is not HTTP.", next_step=_ADDRESS) from None
        except httpx2.TimeoutException as error:
            raise ServerDown(
                f"The server at {self.name} did not answer within {self._timeout:g} s.",
                next_step="Try again when it has less to do, or give it more time with --timeout.",
            ) from error
        except httpx2.RequestError as error:
            raise ServerDown(
                f"The server at {self.name} can't be reached: {hidden(str(error)) or type(error).__name__}.",
                next_step="Check the address and that the server runs.",
            ) from error
        said = f"The server at {self.name} answered {response.status}: {response.words[:_SHOWN] or 'nothing more.'}"
        if response.status in (429, 500, 502, 503, 504):
            raise ServerDown(said)
        if not response.is_success:
            raise ServerError(
                said,
                next_step="Check the address, the model's name and the key.",
            )
        try:
            return json.loads(response.body)
        except (ValueError, RecursionError):
            raise self._strange(response.words) from None

    def _text(self, answer: Any) -> str:
        try:
            text = answer["choices"][0]["text"]
        except (KeyError, IndexError, TypeError) as error:
            raise self._strange(answer) from error
        if not isinstance(text, str) or any("\ud800" <= c <= "\udfff" for c in text):
            raise self._strange(answer)
        return text

    def _strange(self, answer: Any) -> ServerError:
        return ServerError(
            f"The server at {self.name} gave no completion: {ascii(answer)[:_SHOWN]}.",
            next_step="Give the address of an OpenAI-compatible server.",
        )
