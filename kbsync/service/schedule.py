"""When the daemon runs: from an interval or a cron line to a trigger."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kbsync.config import ScheduleSettings

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""By cron's numbers; 7 is Sunday, too."""


def trigger(schedule: ScheduleSettings) -> Any:
    """An APScheduler trigger in UTC, moved at random by up to ``jitter``."""
    jitter = int(schedule.jitter.total_seconds()) or None
    if schedule.interval is not None:
        return IntervalTrigger(seconds=int(schedule.interval.total_seconds()), jitter=jitter, timezone=UTC)
    minute, hour, day, month, weekday = schedule.sync.split()
    return CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=weekdays(weekday),
        jitter=jitter,
        timezone=UTC,
    )


def weekdays(field: str) -> str:
    """Cron's weekdays as names, because APScheduler's numbers begin on Monday and cron's on Sunday.

    ``0`` → ``sun``, ``1-5`` → ``mon,tue,wed,thu,fri``, ``*/2`` → ``sun,tue,thu,sat``; raises ``ValueError``.
    """
    if field == "*":
        return field
    numbers: set[int] = set()
    for part in field.lower().split(","):
        days, _, step = part.partition("/")
        first, _, last = days.partition("-")
        low, high = (0, 6) if days == "*" else (_day(first), _day(last) if last else 6 if step else _day(first))
        if high < low:
            high += 7  # fri-mon, and 5-7 as 5-0
        numbers.update(n % 7 for n in range(low, high + 1, int(step or 1)))
    return ",".join(DAYS[n] for n in sorted(numbers))


def _day(text: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if not text.isdigit() or int(text) > 7:
        raise ValueError(f"{text!r} is not a day of the week: 0 to 7, or {', '.join(DAYS)}")
    return int(text)
