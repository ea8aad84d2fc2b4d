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


@pytest.mark.slow
def test_what_listens_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setattr(Connection, "head_answers", lambda *_: True)
    monkeypatch.setattr(Connection, "_connect", lambda _: time.sleep(5))
    with pytest.raises(WorkersDown, match="does not answer as a Ray cluster within 0 s"):
        Connection("127.0.0.1:9", 0.2)


@pytest.mark.parametrize(
    ("address", "mode", "warned"),
    [("10.0.0.1:1", "", True), ("10.0.0.1:1", "token", False), ("127.0.0.1:1", "", False), ("localhost:1", "", False)],
)
def test_a_cluster_without_a_token_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, mode: str, warned: bool
) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setattr(Connection, "head_answers", lambda *_: True)
    monkeypatch.setattr(Connection, "_connect", lambda _: None)
    Connection(address, 1.0)
    said = capsys.readouterr()
    assert ("asks for no token" in said.out + said.err) is warned


def test_what_a_bounded_call_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        connection._bounded(fail, 5.0)
    assert connection._bounded(lambda: None, 5.0)
    assert not connection._bounded(lambda: time.sleep(1), 0.05)
