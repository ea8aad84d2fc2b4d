"""The suite notices a ledger that breaks a promise about plans and versions."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import StoreError
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.versions import SqlVersionReader, SqlVersionWriter
from kbsync.testing.conformance.ledgers.versions import VersionConformance

SUITE = VersionConformance()


def test_a_ledger_that_gives_one_build_two_versions(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlVersionReader, "version_by_build", lambda self, build_hash: None)
    with pytest.raises(StoreError, match="UNIQUE"):
        SUITE.test_one_build_has_one_version(ledger)


def test_a_ledger_in_which_the_first_plan_stays_the_newest(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[str] = []
    newest = SqlVersionReader._newest_plan_hash

    def stay(self: SqlVersionReader) -> str | None:
        first.extend(filter(None, [newest(self)]))
        return first[0] if first else None

    monkeypatch.setattr(SqlVersionReader, "_newest_plan_hash", stay)
    with pytest.raises(AssertionError):
        SUITE.test_the_plan_recorded_last_is_the_newest_even_if_it_was_known(ledger)


def test_a_ledger_that_takes_any_state(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlVersionWriter, "set_version_state", lambda self, number, state, *, version_hash=None: None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        SUITE.test_versions_get_their_hash_once_with_the_weights(ledger)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_unknown_versions_are_not_found(ledger)
