"""What the fake notifier does beyond the port: it keeps what it hears, and the process can end right after that."""

from __future__ import annotations

import pytest

from kbsync.testing import FakeNotifier
from kbsync.testing.conformance.notifiers import FIRST, SECOND


def test_it_keeps_whole_announcements() -> None:
    notifier = FakeNotifier("command")
    notifier.deliver(FIRST)
    notifier.deliver(SECOND)
    assert (notifier.name, notifier.heard) == ("command", [FIRST, SECOND])


def test_a_process_that_dies_has_delivered() -> None:
    notifier = FakeNotifier()
    notifier.dies = True
    with pytest.raises(KeyboardInterrupt):
        notifier.deliver(FIRST)
    assert notifier.heard == [FIRST]
