"""The suite notices a notifier that breaks a promise."""

from __future__ import annotations

import pytest

from kbsync.domain.announcement import Announcement
from kbsync.testing import FakeNotifier
from kbsync.testing.conformance import NotifierConformance, Receiver

SUITE = NotifierConformance()


class Fake(Receiver):
    def __init__(self, notifier: FakeNotifier) -> None:
        self.notifier: FakeNotifier = notifier

    def heard(self) -> list[str]:
        return [announcement.delivery for announcement in self.notifier.heard]

    def refuse(self) -> None:
        self.notifier.deaf = True

    def accept(self) -> None:
        self.notifier.deaf = False


class Swallowing(FakeNotifier):
    def deliver(self, announcement: Announcement) -> None:
        if not self.deaf:
            super().deliver(announcement)


class Once(FakeNotifier):
    def deliver(self, announcement: Announcement) -> None:
        if announcement not in self.heard:
            super().deliver(announcement)


class Later(FakeNotifier):
    """Delivers an announcement when the next one comes."""

    waiting: Announcement | None = None

    def deliver(self, announcement: Announcement) -> None:
        if self.waiting is not None:
            super().deliver(self.waiting)
        self.waiting = announcement


def test_a_notifier_that_swallows_a_refusal() -> None:
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_refusal_is_an_error_and_the_next_attempt_may_succeed(Fake(Swallowing()))
    deaf = Swallowing()
    deaf.deaf = True
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_nobody_at_the_other_end_is_an_error(deaf)


def test_a_notifier_that_returns_before_it_has_delivered() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_an_announcement_has_arrived_when_deliver_returns(Fake(Later()))
    with pytest.raises(AssertionError):
        SUITE.test_announcements_arrive_in_order(Fake(Later()))


def test_a_notifier_that_thinks_that_once_is_enough() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_an_announcement_delivered_again_is_known_by_its_id(Fake(Once()))


def test_a_notifier_without_a_name() -> None:
    with pytest.raises(AssertionError):
        SUITE.test_its_name_is_a_word_that_stays(Fake(FakeNotifier("")))
