"""What a stage needs from the outside. Adapters and fakes subclass these, and pass the same conformance suite."""

from kbsync.ports.clock import Clock
from kbsync.ports.executor import Executor, InProcessExecutor, Part, Worker
from kbsync.ports.ledger.audit import AuditReader, AuditWriter
from kbsync.ports.ledger.fact_pages import FactCondition, FactPage, FactPageReader, NamedItems
from kbsync.ports.ledger.facts import FactReader, FactWriter
from kbsync.ports.ledger.leases import LeaseReader, LeaseWriter
from kbsync.ports.ledger.ledger import Ledger, LedgerReader, LedgerTransaction, NamedFactReader, ReleasedVersionReader
from kbsync.ports.ledger.names import NameReader, NameWriter
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
from kbsync.ports.ledger.verdicts import VerdictReader, VerdictWriter
from kbsync.ports.ledger.versions import VersionReader, VersionWriter
from kbsync.ports.model import BaseModel, Delta, Edit, Editor, LanguageModel, PairScore, Perplexity
from kbsync.ports.notifier import Notifier
from kbsync.ports.progress import Progress
from kbsync.ports.source import NAMES, ItemEvent, StatementSource
from kbsync.ports.store import ArtifactStore, CheckpointStore, StoredVersion
from kbsync.ports.tracer import LayerTrace, LayerTracer, TracedFact
from kbsync.ports.work import UNWATCHED, Check, Work

__all__ = [
    "NAMES",
    "UNWATCHED",
    "AliasState",
    "ArtifactStore",
    "AuditReader",
    "AuditWriter",
    "BaseModel",
    "Belief",
    "Check",
    "CheckpointStore",
    "Clock",
    "Delivered",
    "Delta",
    "Edit",
    "Editor",
    "Executor",
    "FactCondition",
    "FactCounts",
    "FactPage",
    "FactPageReader",
    "FactReader",
    "FactWriter",
    "HeldLease",
    "InProcessExecutor",
    "ItemEvent",
    "LanguageModel",
    "LayerTrace",
    "LayerTracer",
    "LeaseReader",
    "LeaseToken",
    "LeaseWriter",
    "Ledger",
    "LedgerReader",
    "LedgerTransaction",
    "NameReader",
    "NameWriter",
    "NamedFactReader",
    "NamedItems",
    "Notifier",
    "PairScore",
    "Part",
    "Perplexity",
    "Progress",
    "PullCounts",
    "Quarantined",
    "RecordedPlan",
    "ReleaseReader",
    "ReleaseWriter",
    "ReleasedVersionReader",
    "StatementChange",
    "StatementReader",
    "StatementSource",
    "StatementWriter",
    "StoredPlan",
    "StoredVersion",
    "TracedFact",
    "VerdictReader",
    "VerdictWriter",
    "VersionReader",
    "VersionWriter",
    "Work",
    "Worker",
]
