"""Gives notifiers the version that is current once more: a server that was started anew has lost what it was given."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.stages.notify import NotifyResult, count_waiting, forget_newest


def notify_again(app: App) -> NotifyResult:
    """Tell every notifier of the newest move of ``current``, and of what it was not told of before.

    What is published is brought up to date first, as by every command that writes.

    Raises:
        Busy: Another process writes.
    """
    if app.rehearsing:
        return NotifyResult(waiting=count_waiting(app.run, app.notifiers, again=True))
    with app.writer():  # its end tells
        forget_newest(app.run, app.notifiers)
        due = count_waiting(app.run, app.notifiers)
    left = count_waiting(app.run, app.notifiers)
    return NotifyResult(delivered=due - left, waiting=left)
