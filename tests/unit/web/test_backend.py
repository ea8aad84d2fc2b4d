"""What the pages need: one read of the ledger for all viewers, and the roll-back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kbsync.bootstrap import App
from kbsync.domain.errors import Busy, NotFound
from kbsync.ports import LedgerReader, Work
from kbsync.stages.session import Run, writer
from kbsync.web import backend as module
from kbsync.web.backend import Backend
from tests.support.stage_world import TTL, World


@pytest.fixture
def reads(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[LedgerReader]:
    """The reads of the ledger."""
    seen: list[LedgerReader] = []
    real = backend.ledger.read

    @contextmanager
    def read() -> Iterator[LedgerReader]:
        with real() as tx:
            seen.append(tx)
            yield tx

    monkeypatch.setattr(backend.ledger, "read", read)
    return seen


def test_one_read_serves_all_viewers_for_a_moment(
    backend: Backend, reads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend.snapshot()
    assert backend.snapshot() is first and len(reads) == 1
    assert first.versions.current == 1 and first.status.current is not None
    monkeypatch.setattr(module, "FRESH_SECONDS", -1.0)
    assert backend.snapshot() is not first and len(reads) == 2


def test_metrics_of_the_ledger_come_from_the_same_read(backend: Backend, reads: list[Any]) -> None:
    backend.snapshot()
    assert backend.metrics.registry.get_sample_value("kbsync_version_current") == 1
    assert len(reads) == 1


@pytest.mark.slow
def test_a_rollback_is_seen_at_once(backend: Backend) -> None:
    assert backend.snapshot().versions.current == 1
    backend.rollback(0)
    assert backend.snapshot().versions.current == 0
    with backend.ledger.read() as tx:
        assert tx.audit()[-1].actor == "web"


@pytest.mark.slow
@pytest.mark.hardening
def test_a_rollback_is_that_of_the_command_line(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    real: Any = backend.application

    class Telling(real):  # type: ignore[misc]
        @contextmanager
        def writer(self) -> Iterator[Any]:
            """What the command line acts in; the application's own moves the path and tells the notifiers at its
            end."""
            with super().writer() as held:
                yield held
            told.append(self.actor)

        def close(self) -> None:
            told.append("closed")
            super().close()

    monkeypatch.setattr(backend, "application", Telling)
    assert backend.rollback(0).after == 0
    assert told == ["web", "closed"]
    assert Backend.__dataclass_fields__["application"].default is App


@pytest.mark.slow
def test_a_rollback_is_refused_while_somebody_writes(backend_and_world: tuple[Backend, World]) -> None:
    backend, world = backend_and_world
    run = Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody")
    with writer(run, TTL), pytest.raises(Busy, match="somebody"):
        backend.rollback(0)
    with pytest.raises(NotFound):
        backend.rollback(7)
    assert backend.snapshot().versions.current == 1


def test_relations_are_those_of_the_newest_configuration(backend: Backend) -> None:
    assert [relation.name for relation in backend.relations] == ["capital", "head-of-government"]
    assert backend.trouble() == "" and backend.sync_now is None
