"""The whole ledger: all that can be read of it, and written to it, in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from kbsync.ports.ledger.audit import AuditReader, AuditWriter
from kbsync.ports.ledger.facts import FactReader, FactWriter
from kbsync.ports.ledger.leases import LeaseReader, LeaseWriter
from kbsync.ports.ledger.releases import ReleaseReader, ReleaseWriter
from kbsync.ports.ledger.statements import StatementReader, StatementWriter
from kbsync.ports.ledger.versions import VersionReader, VersionWriter


class NamedFactReader(FactReader, StatementReader):
    """Reads facts together with the labels of the items in them."""


class ReleasedVersionReader(VersionReader, ReleaseReader):
    """Reads versions together with the aliases that point to them."""


class LedgerReader(NamedFactReader, ReleasedVersionReader, AuditReader, LeaseReader):
    """Reads everything inside one consistent snapshot; whoever needs one subject only names its reader instead."""


class LedgerTransaction(
    StatementWriter, FactWriter, VersionWriter, ReleaseWriter, AuditWriter, LeaseWriter, LedgerReader
):
    """One write transaction: all of it is committed, or none of it."""


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
