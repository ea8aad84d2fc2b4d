"""The whole ledger: all that can be read of it, and written to it, in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager

from kbsync.ports.ledger.audit import AuditReader, AuditWriter
from kbsync.ports.ledger.fact_pages import FactPageReader
from kbsync.ports.ledger.facts import FactReader, FactWriter
from kbsync.ports.ledger.leases import LeaseReader, LeaseWriter
from kbsync.ports.ledger.names import NameReader, NameWriter
from kbsync.ports.ledger.releases import ReleaseReader, ReleaseWriter
from kbsync.ports.ledger.statements import StatementReader, StatementWriter
from kbsync.ports.ledger.verdicts import VerdictReader, VerdictWriter
from kbsync.ports.ledger.versions import VersionReader, VersionWriter


class NamedFactReader(FactReader, VerdictReader, FactPageReader, StatementReader, NameReader):
    """Reads facts together with the verdicts on them and the names of the items in them."""


class ReleasedVersionReader(VersionReader, ReleaseReader):
    """Reads versions together with the aliases that point to them."""


class LedgerReader(NamedFactReader, ReleasedVersionReader, AuditReader, LeaseReader):
    """Reads everything inside one consistent snapshot; whoever needs one subject only names its reader instead."""

    @abstractmethod
    def examine(self, rows_heads: Collection[str], trail: Collection[str] | None) -> list[str]:
        """Compare every row with what kbsync wrote last; returns a sentence for each problem.

        Args:
            rows_heads: Heads of the row journal that are known from elsewhere, such as the trail's events.
            trail: Hashes of the trail's events; None where the trail itself is broken.
        """


class LedgerTransaction(
    StatementWriter,
    NameWriter,
    FactWriter,
    VerdictWriter,
    VersionWriter,
    ReleaseWriter,
    AuditWriter,
    LeaseWriter,
    LedgerReader,
):
    """One write transaction: all of it is committed, or none of it."""

    @abstractmethod
    def accept_rows(self) -> list[str]:
        """Take all rows as they are for what they should be, because a person says so; returns a sentence for each that
        was another."""


class Ledger(ABC):
    """Opens transactions."""

    @abstractmethod
    def read(self) -> AbstractContextManager[LedgerReader]:
        """A read transaction; never blocks writers, nor they it."""

    @abstractmethod
    def write(self) -> AbstractContextManager[LedgerTransaction]:
        """A write transaction: commits at the end of the block, rolls back on any exception."""

    @abstractmethod
    def close(self) -> None:
        """Give the connections back; no transaction may be opened any more."""
