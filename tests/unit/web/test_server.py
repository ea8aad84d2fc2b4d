"""The server of the status page: it answers inside its block, and says why it can't."""

from __future__ import annotations

import builtins
import socket
import threading
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from kbsync.config import WebSettings
from kbsync.domain.errors import ConfigError, StoreError
from kbsync.web.backend import Backend
from kbsync.web.server import serving


def settings(**web: object) -> WebSettings:
    return WebSettings.model_validate({"port": 0} | web)


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_answers_inside_the_block_and_not_after_it(backend: Backend, host: str) -> None:
    with serving(backend, settings(host=host)) as address:
        assert address.startswith("http://[::1]:" if ":" in host else "http://127.0.0.1:")
        with urlopen(address + "healthz", timeout=30) as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")
            assert "server" not in answer.headers, "nothing says what serves the page"
        assert [t.name for t in threading.enumerate()].count("web") == 1
    assert "web" not in [t.name for t in threading.enumerate()]
    with pytest.raises(URLError):
        urlopen(address + "healthz", timeout=5)


@pytest.mark.slow
def test_a_taken_address_is_named(backend: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(StoreError, match=rf"can't listen on 127\.0\.0\.1 port {port}") as caught,
            serving(backend, settings(port=port)),
        ):
            pass
    assert "web.port" in caught.value.next_step


@pytest.mark.slow
def test_a_missing_package_says_what_to_install(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "uvicorn":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="needs the package uvicorn") as caught, serving(backend, settings()):
        pass
    assert "kbsync[web]" in caught.value.next_step
