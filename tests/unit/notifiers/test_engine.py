"""vLLM and SGLang as their interfaces are written down: what they are told, in which order, what a failure leaves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.engine import AdapterEngine, Ask, SglangEngine, VllmEngine

PROMPT = "The capital of France is"


class Engine:
    """The part of an engine that loads adapters: by name, the path of each; answers are the last part of the path."""

    def __init__(self, server: HTTPServer, prefix: str, *, in_place: bool) -> None:
        self.loaded: dict[str, str] = {}
        self.calls: list[str] = []
        self.in_place: Counter[str] = Counter()
        self.refuses = ""
        self.late = 0.0
        self._in_place = in_place
        for path, handler in (
            (f"{prefix}/load_lora_adapter", self._load),
            (f"{prefix}/unload_lora_adapter", self._unload),
            ("/v1/models", self._models),
            ("/v1/completions", self._complete),
        ):
            server.expect_request(path).respond_with_handler(handler)

    def _load(self, request: Request) -> Response:
        time.sleep(self.late)
        body = request.get_json()
        if self.refuses:
            return Response(self.refuses, 400)
        if body["lora_name"] in self.loaded and not (self._in_place and body.get("load_inplace")):
            return Response("already loaded", 400)
        if body.get("load_inplace"):
            self.in_place[body["lora_name"]] += 1
        self.loaded[body["lora_name"]] = body["lora_path"]
        self.calls.append(f"load {body['lora_name']} {Path(body['lora_path']).name}")
        return Response("ok")

    def _unload(self, request: Request) -> Response:
        name = request.get_json()["lora_name"]
        if name not in self.loaded:
            return Response("unknown adapter", 404 if self._in_place else 400)
        del self.loaded[name]
        self.calls.append(f"unload {name}")
        return Response("ok")

    def _models(self, _: Request) -> Response:
        data = [{"id": name} for name in ("base", *self.loaded)]
        return Response(json.dumps({"data": data}), content_type="application/json")

    def _complete(self, request: Request) -> Response:
        text = Path(self.loaded[request.get_json()["model"]]).name
        return Response(json.dumps({"choices": [{"text": text}]}), content_type="application/json")


def lost(version: int, ask: Ask) -> Sequence[str]:
    return [] if list(ask([PROMPT])) == [f"{version}-good"] else [PROMPT]


@pytest.fixture
def announced(tmp_path: Path) -> Callable[..., Announcement]:
    def announced(version: int, quality: str = "good") -> Announcement:
        directory = tmp_path / f"{version}-{quality}"
        if version:
            directory.mkdir(exist_ok=True)
            (directory / "adapter_config.json").touch()
        return Announcement(
            alias="current",
            move=version + 1,
            version=version,
            hash="a" * 64,
            moved_at=datetime(2026, 3, 1, tzinfo=UTC),
            path=str(tmp_path / "current"),
            directory=str(directory) if version else "",
        )

    return announced


def vllm(server: HTTPServer) -> tuple[Engine, AdapterEngine]:
    return Engine(server, "/v1", in_place=True), VllmEngine(server.url_for(""), "kbsync", "", 5, 8, lost)


def sglang(server: HTTPServer) -> tuple[Engine, AdapterEngine]:
    return Engine(server, "", in_place=False), SglangEngine(server.url_for(""), "kbsync", "key", 5, 8, lost)


@pytest.mark.parametrize("make", [vllm, sglang])
def test_a_version_takes_the_name_after_its_canaries(
    httpserver: HTTPServer,
    announced: Callable[..., Announcement],
    make: Callable[[HTTPServer], tuple[Engine, AdapterEngine]],
) -> None:
    engine, notifier = make(httpserver)
    notifier.deliver(announced(1))
    assert {n: Path(p).name for n, p in engine.loaded.items()} == {"kbsync": "1-good"}
    notifier.deliver(announced(2))
    notifier.deliver(announced(2))
    assert {n: Path(p).name for n, p in engine.loaded.items()} == {"kbsync": "2-good"}
    with pytest.raises(NotifierFailed, match=r"does not answer 1 canaries.*stays"):
        notifier.deliver(announced(3, "bad"))
    assert {n: Path(p).name for n, p in engine.loaded.items()} == {"kbsync": "2-good"}
    notifier.deliver(announced(1))
    assert {n: Path(p).name for n, p in engine.loaded.items()} == {"kbsync": "1-good"}, "a rollback"
    notifier.deliver(announced(0))
    assert engine.loaded == {}


def test_vllm_is_never_without_the_name(httpserver: HTTPServer, announced: Callable[..., Announcement]) -> None:
    engine, notifier = vllm(httpserver)
    notifier.deliver(announced(1))
    notifier.deliver(announced(2))
    assert "unload kbsync" not in engine.calls
    assert engine.calls[-3:] == ["load kbsync-2 2-good", "load kbsync 2-good", "unload kbsync-2"]
    assert engine.in_place == {"kbsync": 1}, "only what clients may be asking for is replaced in place"


@pytest.mark.parametrize("make", [vllm, sglang])
def test_what_an_engine_refuses_is_told_and_may_be_tried_again(
    httpserver: HTTPServer,
    announced: Callable[..., Announcement],
    make: Callable[[HTTPServer], tuple[Engine, AdapterEngine]],
) -> None:
    engine, notifier = make(httpserver)
    engine.refuses = "LoRA rank 128 is greater than max_lora_rank 16"
    with pytest.raises(NotifierFailed, match=r"answered 400 .*--max-lora-rank"):
        notifier.deliver(announced(1))
    engine.refuses = ""
    notifier.deliver(announced(1))
    with pytest.raises(NotifierFailed, match="must be lora"):
        notifier.deliver(replace(announced(2), directory="/nowhere"))
    assert list(engine.loaded) == ["kbsync"]


def test_an_engine_that_is_down_is_told_later(announced: Callable[..., Announcement]) -> None:
    for kind in (VllmEngine, SglangEngine):
        with pytest.raises(NotifierFailed, match="can't be reached"):
            kind("http://127.0.0.1:9", "kbsync", "", 5, 8, lost).deliver(announced(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [VllmEngine, SglangEngine])
def test_an_engine_that_is_late_is_told_later(
    httpserver: HTTPServer, announced: Callable[..., Announcement], kind: type[AdapterEngine]
) -> None:
    engine, _ = vllm(httpserver) if kind is VllmEngine else sglang(httpserver)
    engine.late = 0.4
    with pytest.raises(NotifierFailed, match="can't be reached"):
        kind(httpserver.url_for(""), "kbsync", "", 0.1, 8, lost).deliver(announced(1))
    assert "kbsync" not in engine.loaded, "clients get what they got before"
    engine.late = 0
    kind(httpserver.url_for(""), "kbsync", "", 5, 8, lost).deliver(announced(1))
    assert list(engine.loaded) == ["kbsync"]
