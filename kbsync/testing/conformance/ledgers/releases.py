"""What every ledger must do with aliases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from kbsync.domain.errors import DataError, LeaseLost, NotFound
from kbsync.domain.version import CURRENT, VersionState
from kbsync.ports import Ledger
from kbsync.testing.conformance.ledgers.support import TTL, acquire, move
from kbsync.testing.samples import HOUR, NOW, edit_plan


class ReleaseConformance:
    """Aliases move under a lease only, and every move is kept."""

    @pytest.fixture
    def built(self, ledger: Ledger) -> Ledger:
        """Versions 1 and 2 have weights, version 3 is building."""
        with ledger.write() as tx:
            for number, target in enumerate(("Ada", "Bob", "Cleo"), start=1):
                plan = edit_plan(target)
                tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
                if number < 3:
                    tx.set_version_state(number, VersionState.CANDIDATE, version_hash=f"hash of {number}")
        return ledger

    def test_every_move_of_an_alias_is_kept_and_the_last_one_counts(self, built: Ledger) -> None:
        lease = acquire(built)
        with built.read() as tx:
            assert tx.alias(CURRENT) is None
            assert tx.alias_moves(CURRENT) == []
        for hours, number in enumerate((1, 2, 0, 1)):
            if hours:
                with built.write() as tx:
                    lease = tx.renew_lease(replace(lease), hours * HOUR + TTL, NOW)
            move(built, number, lease, NOW + hours * HOUR)
        with built.read() as tx:
            moves = tx.alias_moves(CURRENT)
            assert [(m.number, m.moved_at, m.token) for m in moves] == [
                (number, NOW + hours * HOUR, lease.token) for hours, number in enumerate((1, 2, 0, 1))
            ]
            assert tx.alias(CURRENT) == moves[-1]
            assert tx.alias("candidate") is None

    def test_a_stale_token_moves_nothing(self, built: Ledger) -> None:
        lost = acquire(built)
        held = acquire(built, "two", NOW + TTL)
        move(built, 1, held, NOW + TTL)
        with pytest.raises(LeaseLost):
            move(built, 2, lost, NOW)
        with built.read() as tx:
            alias = tx.alias(CURRENT)
        assert alias is not None and alias.number == 1

    @pytest.mark.parametrize(
        ("lie", "at"),
        [
            ({}, NOW + TTL),
            ({"expires": NOW + 9 * TTL}, NOW + TTL),
            ({"token": 2}, NOW),
            ({"holder": "two"}, NOW),
            ({"name": "other"}, NOW),
        ],
        ids=["expired", "forged expiry", "forged token", "forged holder", "no such lease"],
    )
    def test_only_the_stored_lease_counts(self, built: Ledger, lie: dict[str, Any], at: datetime) -> None:
        with pytest.raises(LeaseLost):
            move(built, 1, replace(acquire(built), **lie), at)
        with built.read() as tx:
            assert tx.alias(CURRENT) is None

    def test_a_refused_move_of_an_alias_takes_its_transaction_with_it(self, built: Ledger) -> None:
        lost = acquire(built)
        acquire(built, "two", NOW + TTL)
        with pytest.raises(LeaseLost), built.write() as tx:
            tx.append_audit("promote", "test", {"version": 1}, NOW)
            tx.set_version_state(1, VersionState.PROMOTED)
            tx.move_alias(CURRENT, 1, lost, NOW)
        with built.read() as tx:
            assert tx.audit() == []
            version = tx.version(1)
        assert version is not None and version.state is VersionState.CANDIDATE

    def test_an_alias_points_only_to_versions_with_weights(self, built: Ledger) -> None:
        lease = acquire(built)
        with pytest.raises(DataError):
            move(built, 3, lease)
        with pytest.raises(NotFound):
            move(built, 4, lease)
