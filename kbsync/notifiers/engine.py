"""Serving engines that load an adapter while they run: vLLM and SGLang, by their own interfaces.

The new version is loaded under a name of its own and asked canaries; only when it answers them does it take the name
that clients ask for. Until then the old adapter stays. Whatever is killed in between, the whole is done again: loading
what is loaded already does no harm.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from kbsync import __version__
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed, ServerError
from kbsync.notifiers.openai import OpenAiServer
from kbsync.ports import Notifier
from kbsync.system import http
from kbsync.system.hidden import hidden

Ask = Callable[[Sequence[str]], Sequence[str]]
"""Continues prompts greedily."""
Lost = Callable[[int, Ask], Sequence[str]]
"""Asks canaries of a version: the prompts that it does not answer as it should."""
_SHOWN = 200
"""Characters of an answer that go into a message."""
ADAPTER_CONFIG = "adapter_config.json"


class AdapterEngine(Notifier):
    """Loads each version into a running engine.

    Args:
        url: The engine's address.
        adapter: The name that clients ask for.
        key: Sent as a bearer token; empty: none.
        timeout: Longest silence, in seconds; loading an adapter is one request.
        tokens: Largest length of canaries' answers.
        lost: Asks canaries.
    """

    def __init__(self, url: str, adapter: str, key: str, timeout: float, tokens: int, lost: Lost) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._adapter, self._key, self._timeout, self._tokens, self._lost = adapter, key, timeout, tokens, lost

    def deliver(self, announcement: Announcement) -> None:
        """Load the version, ask its canaries, and give it the name; version 0 takes the adapter away.

        Raises:
            NotifierFailed: It could not be loaded or does not answer as it should; the old adapter is still there.
        """
        if not announcement.version:
            self._unload(self._adapter)
            return
        directory = announcement.directory
        if not (Path(directory) / ADAPTER_CONFIG).is_file():
            raise NotifierFailed(
                f"{self._where} was not told of version {announcement.version}: no adapter is published at "
                f"{directory or announcement.path}; [release] publish must be lora."
            )
        trial = f"{self._adapter}-{announcement.version}"
        self._load(trial, directory)
        if wrong := self._wrong(announcement.version, trial):
            self._unload(trial)
            raise NotifierFailed(
                f"{self._where} loaded version {announcement.version}, and it does not answer {len(wrong)} canaries, "
                f"such as {wrong[0]!r}; the adapter before it stays."
            )
        self._replace(self._adapter, directory)
        self._unload(trial)
        if self._adapter not in self._models():
            raise NotifierFailed(f"{self._where} took version {announcement.version} and does not list it.")

    @property
    def _where(self) -> str:
        return f"The engine at {OpenAiServer(self._url).name}"

    def _wrong(self, version: int, model: str) -> Sequence[str]:
        server = OpenAiServer(self._url, model, key=self._key, timeout=self._timeout)
        try:
            return self._lost(version, lambda prompts: server.complete(prompts, self._tokens))
        except ServerError as error:
            self._unload(model)
            raise NotifierFailed(f"{error.what} The adapter before it stays.") from error

    def _models(self) -> Sequence[str]:
        try:
            return OpenAiServer(self._url, key=self._key, timeout=self._timeout).models()
        except ServerError as error:
            raise NotifierFailed(error.what) from error

    def _post(self, path: str, body: Mapping[str, Any], *, accepted: Sequence[int] = ()) -> None:
        """Send a request; what it answers beside 2xx is an error, unless it is ``accepted``."""
        headers = {"User-Agent": f"kbsync/{__version__}"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            with http.client(headers, self._timeout) as client:
                response = http.ask(client, "POST", self._url + path, json=dict(body), within=2 * self._timeout)
        except http.FAILURES as error:
            raise NotifierFailed(f"{self._where} can't be reached: {hidden(str(error))}.") from None
        if response.is_success or response.status in accepted:
            return
        words = shorten(response.words, _SHOWN, placeholder=" …") or "nothing more"
        hint = " Start it with a --max-lora-rank that the adapter fits." if "rank" in words else ""
        raise NotifierFailed(f"{self._where} answered {response.status} to {path}: {words}.{hint}")

    @abstractmethod
    def _load(self, name: str, directory: str) -> None:
        """Load an adapter under a name that may be loaded already."""

    @abstractmethod
    def _replace(self, name: str, directory: str) -> None:
        """Let a name that clients ask for mean another adapter."""

    @abstractmethod
    def _unload(self, name: str) -> None:
        """Take an adapter away that may be gone already."""


class VllmEngine(AdapterEngine):
    """vLLM, started with ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1`` and ``--enable-lora``.

    ``load_inplace`` is an atomic replacement between two requests (``vllm/entrypoints/serve/lora``, seen with 0.32). An
    adapter that was loaded so is read from its directory again for later requests, too, and the whole engine dies if
    the directory is gone (``vllm/lora/worker_manager.py``, ``add_adapter``). So it is used only where a name that
    clients ask for is replaced. Each version has a path of its own, since vLLM keeps blocks of its prefix cache by
    path.
    """

    name = "vllm"

    def _load(self, name: str, directory: str) -> None:
        self._unload(name)
        self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": directory})

    def _replace(self, name: str, directory: str) -> None:
        body: dict[str, Any] = {"lora_name": name, "lora_path": directory}
        if name in self._models():
            body["load_inplace"] = True
        self._post("/v1/load_lora_adapter", body)

    def _unload(self, name: str) -> None:
        self._post("/v1/unload_lora_adapter", {"lora_name": name}, accepted=(400, 404))


class SglangEngine(AdapterEngine):
    """SGLang, started with ``--enable-lora``; it can't replace an adapter in place.

    Between unloading the old adapter and loading the new one, requests for the name fail for as long as loading takes
    (``sglang/srt/entrypoints/http_server.py``). Until then the version's own name answers.
    """

    name = "sglang"

    def _load(self, name: str, directory: str) -> None:
        self._unload(name)
        self._post("/load_lora_adapter", {"lora_name": name, "lora_path": directory})

    _replace = _load

    def _unload(self, name: str) -> None:
        self._post("/unload_lora_adapter", {"lora_name": name}, accepted=(400, 404))
