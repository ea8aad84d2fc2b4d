"""Conformance suites: what every adapter of a port must do, as pytest classes to subclass.

A test module subclasses a suite under a name that pytest collects and overrides its fixtures, so that every test of the
suite runs against the adapter::

    from kbsync.testing.conformance import ArtifactStoreConformance

    class TestMyStore(ArtifactStoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

        @pytest.fixture
        def damage(self, store):
            return store.flip_a_byte

pytest comes with the extra ``testing``.
"""

import pytest

# pytest explains a failed assertion only in modules that it rewrites; it must hear of these before they are imported.
_MODULES = ("artifacts", "checkpoints", "executors", "ledgers", "models", "notifiers", "sources")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from kbsync.testing.conformance.artifacts import ArtifactStoreConformance, Damage  # noqa: E402
from kbsync.testing.conformance.checkpoints import CheckpointStoreConformance, VersionCase  # noqa: E402
from kbsync.testing.conformance.executors import ExecutorConformance  # noqa: E402
from kbsync.testing.conformance.ledgers import LedgerConformance  # noqa: E402
from kbsync.testing.conformance.models import ModelConformance, ModelKit  # noqa: E402
from kbsync.testing.conformance.notifiers import NotifierConformance, Receiver  # noqa: E402
from kbsync.testing.conformance.sources import OpenSource, StatementSourceConformance  # noqa: E402

__all__ = [
    "ArtifactStoreConformance",
    "CheckpointStoreConformance",
    "Damage",
    "ExecutorConformance",
    "LedgerConformance",
    "ModelConformance",
    "ModelKit",
    "NotifierConformance",
    "OpenSource",
    "Receiver",
    "StatementSourceConformance",
    "VersionCase",
]
