"""Connecting takes a bounded time, and says what to do."""

from __future__ import annotations

import time

import pytest

from kbsync.domain.errors import ConfigError, WorkersDown
from kbsync.executors import connection
from kbsync.executors.connection import Connection, require_ray


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Ray is not installed") as raised:
        require_ray()
    assert "kbsync[ray]" in raised.value.next_step


def test_nothing_listens() -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    with pytest.raises(WorkersDown, match="can't be reached") as raised:
        Connection("127.0.0.1:9", 5.0)
    assert 'kind = "in-process"' in raised.value.next_step


def test_what_listens_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setattr(Connection, "head_answers", lambda *_: True)
    monkeypatch.setattr(Connection, "_connect", lambda _: time.sleep(5))
    with pytest.raises(WorkersDown, match="does not answer as a Ray cluster within 0 s"):
        Connection("127.0.0.1:9", 0.2)


def test_what_a_bounded_call_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        connection._bounded(fail, 5.0)
    assert connection._bounded(lambda: None, 5.0)
    assert not connection._bounded(lambda: time.sleep(1), 0.05)
