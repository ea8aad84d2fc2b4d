from __future__ import annotations

import pytest

from kbsync.domain.errors import Stopped
from kbsync.ports import UNWATCHED, Progress, Work


class Shown(Progress):
    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, step: str, total: int | None) -> None:
        self.told.append((step, total))

    def advance(self, count: int = 1) -> None:
        self.told.append(count)

    def finish(self, note: str = "") -> None:
        self.told.append(note)

    def abandon(self) -> None:
        self.told.append("abandoned")


def test_every_start_advance_and_checkpoint_is_checked_after_it_is_shown() -> None:
    shown = Shown()
    work = Work(shown, [lambda: shown.told.append("checked")])
    work.start("probe", 3)
    work.advance(2)
    work.checkpoint()
    work.finish("2 of 3")
    assert shown.told == [("probe", 3), "checked", 2, "checked", "checked", "2 of 3"]


def test_a_check_that_raises_abandons_what_is_shown_and_later_checks_are_not_made() -> None:
    shown = Shown()

    def stop() -> None:
        raise Stopped("A stop was asked for.")

    def never() -> None:
        raise AssertionError("after a stop no lease is renewed")

    work = Work(shown, [stop]).checked_by(never)
    with pytest.raises(Stopped):
        work.advance()
    assert shown.told == [1, "abandoned"]


def test_the_same_work_may_be_shown_elsewhere() -> None:
    shown, elsewhere, checks = Shown(), Shown(), list[str]()
    Work(shown, [lambda: checks.append("checked")]).shown_by(elsewhere).advance()
    assert (shown.told, elsewhere.told, checks) == ([], [1], ["checked"])


def test_work_that_nobody_watches_goes_on() -> None:
    UNWATCHED.start("probe", None)
    UNWATCHED.advance()
    UNWATCHED.checkpoint()
    UNWATCHED.finish()
    UNWATCHED.progress.abandon()
