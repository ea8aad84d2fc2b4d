"""What every ``Notifier`` must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.ports import Notifier

FIRST = Announcement(
    alias="current",
    move=7,
    version=3,
    hash="a" * 64,
    moved_at=datetime(2026, 3, 1, tzinfo=UTC),
    path="/var/lib/kbsync/current",
)
SECOND = replace(FIRST, move=8, version=4, hash="b" * 64, moved_at=FIRST.moved_at + timedelta(hours=1))
BACK_TO_BASE = replace(FIRST, move=9, version=0, hash=None, moved_at=FIRST.moved_at + timedelta(hours=2))


class Receiver(ABC):
    """A notifier under test and what stands at its other end."""

    notifier: Notifier

    @abstractmethod
    def heard(self) -> list[str]:
        """The ``delivery`` of every announcement that arrived and was taken, in order."""

    @abstractmethod
    def refuse(self) -> None:
        """From now on, turn down whatever arrives."""

    @abstractmethod
    def accept(self) -> None:
        """From now on, take whatever arrives, as in the beginning."""


class NotifierConformance:
    """Override the fixtures ``receiver`` and ``unreachable``."""

    @pytest.fixture
    def receiver(self) -> Receiver:
        """A notifier whose other end takes what it is given."""
        raise NotImplementedError("override the fixture `receiver`")

    @pytest.fixture
    def unreachable(self) -> Notifier:
        """A notifier whose other end is missing or does not answer; it gives up within seconds."""
        raise NotImplementedError("override the fixture `unreachable`")

    def test_its_name_is_a_word_that_stays(self, receiver: Receiver) -> None:
        name = receiver.notifier.name
        assert name == name.strip() != ""
        receiver.notifier.deliver(FIRST)
        assert receiver.notifier.name == name

    def test_an_announcement_has_arrived_when_deliver_returns(self, receiver: Receiver) -> None:
        assert receiver.heard() == []
        receiver.notifier.deliver(FIRST)
        assert receiver.heard() == [FIRST.delivery]

    def test_announcements_arrive_in_order(self, receiver: Receiver) -> None:
        for announcement in (FIRST, SECOND, BACK_TO_BASE):
            receiver.notifier.deliver(announcement)
        assert receiver.heard() == [FIRST.delivery, SECOND.delivery, BACK_TO_BASE.delivery]

    def test_an_announcement_delivered_again_is_known_by_its_id(self, receiver: Receiver) -> None:
        receiver.notifier.deliver(FIRST)
        receiver.notifier.deliver(FIRST)
        assert receiver.heard() == [FIRST.delivery, FIRST.delivery]

    def test_a_refusal_is_an_error_and_the_next_attempt_may_succeed(self, receiver: Receiver) -> None:
        receiver.refuse()
        with pytest.raises(NotifierFailed):
            receiver.notifier.deliver(FIRST)
        assert receiver.heard() == []
        receiver.accept()
        receiver.notifier.deliver(FIRST)
        assert receiver.heard() == [FIRST.delivery]

    def test_nobody_at_the_other_end_is_an_error(self, unreachable: Notifier) -> None:
        with pytest.raises(NotifierFailed):
            unreachable.deliver(FIRST)
