"""Fakes for every port, sample values, and (in ``kbsync.testing.conformance``) the suites that adapters must pass.

A fake subclasses its port and passes the same suite as the real adapters. The fakes need nothing beyond a base install;
the suites need pytest, which the extra ``testing`` brings.
"""

from kbsync.testing.fake_model import TableBase, TableDelta, TableEditor, TableModel
from kbsync.testing.fake_notifier import FakeNotifier
from kbsync.testing.fake_source import FakeItem, FakeSource
from kbsync.testing.memory_artifacts import MemoryArtifactStore
from kbsync.testing.memory_checkpoints import MemoryCheckpointStore

__all__ = [
    "FakeItem",
    "FakeNotifier",
    "FakeSource",
    "MemoryArtifactStore",
    "MemoryCheckpointStore",
    "TableBase",
    "TableDelta",
    "TableEditor",
    "TableModel",
]
