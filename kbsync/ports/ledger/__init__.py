"""The ledger: a reader and a writer for each subject, and the transactions that compose them."""

from kbsync.ports.ledger.audit import AuditReader, AuditWriter
from kbsync.ports.ledger.facts import FactReader, FactWriter
from kbsync.ports.ledger.leases import LeaseReader, LeaseWriter
from kbsync.ports.ledger.ledger import Ledger, LedgerReader, LedgerTransaction
from kbsync.ports.ledger.records import (
    AliasState,
    Belief,
    Delivered,
    FactCounts,
    HeldLease,
    LeaseToken,
    PullCounts,
    Quarantined,
    RecordedPlan,
    StatementChange,
    StoredPlan,
)
from kbsync.ports.ledger.releases import ReleaseReader, ReleaseWriter
from kbsync.ports.ledger.statements import StatementReader, StatementWriter
from kbsync.ports.ledger.versions import VersionReader, VersionWriter

__all__ = [
    "AliasState",
    "AuditReader",
    "AuditWriter",
    "Belief",
    "Delivered",
    "FactCounts",
    "FactReader",
    "FactWriter",
    "HeldLease",
    "LeaseReader",
    "LeaseToken",
    "LeaseWriter",
    "Ledger",
    "LedgerReader",
    "LedgerTransaction",
    "PullCounts",
    "Quarantined",
    "RecordedPlan",
    "ReleaseReader",
    "ReleaseWriter",
    "StatementChange",
    "StatementReader",
    "StatementWriter",
    "StoredPlan",
    "VersionReader",
    "VersionWriter",
]
