"""What a stage needs from the outside. Adapters subclass these; a fake does too, and passes the same conformance suite."""

from kbsync.ports.ledger import Ledger, LedgerReader, LedgerTransaction
from kbsync.ports.model import BaseModel, Delta, Edit, Editor, LanguageModel, PairScore
from kbsync.ports.notifier import Notifier
from kbsync.ports.progress import Clock, Progress
from kbsync.ports.records import AliasState, Belief, Delivered, FactCounts, LeaseToken, PullCounts, StatementChange
from kbsync.ports.source import ItemEvent, StatementSource
from kbsync.ports.store import ArtifactStore, CheckpointStore

__all__ = [
    "AliasState",
    "ArtifactStore",
    "BaseModel",
    "Belief",
    "CheckpointStore",
    "Clock",
    "Delivered",
    "Delta",
    "Edit",
    "Editor",
    "FactCounts",
    "ItemEvent",
    "LanguageModel",
    "LeaseToken",
    "Ledger",
    "LedgerReader",
    "LedgerTransaction",
    "Notifier",
    "PairScore",
    "Progress",
    "PullCounts",
    "StatementChange",
    "StatementSource",
]
