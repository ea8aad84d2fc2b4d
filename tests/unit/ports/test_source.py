"""The port of sources: what a source must have, and what it need not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kbsync.domain.statement import ItemId
from kbsync.ports import ItemEvent, StatementSource
from kbsync.testing.fake_source import FakeSource

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_source_without_every_query_is_none() -> None:
    class Half(StatementSource):
        def server_time(self) -> datetime:
            return NOW

    with pytest.raises(TypeError, match=r"heads.*labels.*records.*subjects"):
        Half()  # type: ignore[abstract]


def test_a_source_need_not_report_changes_by_itself() -> None:
    assert StatementSource.events(FakeSource(), NOW) is None


def test_an_event_need_not_name_a_revision() -> None:
    assert ItemEvent(ItemId("Q1"), NOW).revision == 0
