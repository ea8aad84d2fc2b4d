"""What every ``Ledger`` must do: a class for each subject, and all of them as one."""

from __future__ import annotations

import pytest

from kbsync.ports import Ledger
from kbsync.testing.conformance.ledgers.audit import AuditConformance
from kbsync.testing.conformance.ledgers.facts import FactConformance
from kbsync.testing.conformance.ledgers.leases import LeaseConformance
from kbsync.testing.conformance.ledgers.releases import ReleaseConformance
from kbsync.testing.conformance.ledgers.statements import StatementConformance
from kbsync.testing.conformance.ledgers.transactions import TransactionConformance
from kbsync.testing.conformance.ledgers.versions import VersionConformance


class LedgerConformance(
    TransactionConformance,
    StatementConformance,
    FactConformance,
    VersionConformance,
    LeaseConformance,
    ReleaseConformance,
    AuditConformance,
):
    """Override the fixtures ``ledger`` and ``hasty``."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        """An empty ledger."""
        raise NotImplementedError("override the fixture `ledger`")

    @pytest.fixture
    def hasty(self, ledger: Ledger) -> Ledger:
        """The same ledger opened again by somebody who waits for another writer a tenth of a second at most."""
        raise NotImplementedError("override the fixture `hasty`")
