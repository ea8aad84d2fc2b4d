"""When jobs are due: triggers and times of an interval or a cron line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kbsync.config import Configuration, interval_of
from kbsync.config.schedule import DAYS, cron_fields
from kbsync.daemon.jobs import jobs

MOST = 10_000
"""Largest number of missed times that are counted."""
UPCOMING = 3
"""Number of next times that a view of the schedule shows for each job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job."""

    name: str
    stage: str
    when: str
    """An interval, or a cron line in UTC."""
    relations: tuple[str, ...]
    """Names of the only relations that it works on; empty: all."""
    jitter: float
    """Seconds by which its start may be delayed."""
    deadline: float
    """Seconds that it may take."""
    upcoming: tuple[datetime, ...]
    """Its next times, without the delay; `sync` also runs when the daemon starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """What the daemon does, and when."""

    jobs: tuple[JobView, ...]
    """`sync` first."""


def schedule_view(configuration: Configuration, now: datetime) -> ScheduleView:
    """The configured jobs as a daemon that starts ``now`` would run them."""
    views = []
    for job in jobs(configuration):
        exact, last = trigger(job.when), None
        upcoming: list[datetime] = []
        while len(upcoming) < UPCOMING and (last := exact.get_next_fire_time(last, last or now)) is not None:
            upcoming.append(last)
        views.append(
            JobView(
                name=job.name,
                stage=job.stage,
                when=job.when,
                relations=job.relations,
                jitter=job.jitter.total_seconds(),
                deadline=job.deadline.total_seconds(),
                upcoming=tuple(upcoming),
            )
        )
    return ScheduleView(jobs=tuple(views))


def trigger(when: str, jitter: timedelta = timedelta(0)) -> BaseTrigger:
    """An APScheduler trigger in UTC for an interval or a cron line, delayed at random by up to ``jitter``.

    A cron line that names both days of the month and days of the week is due on all of them: ``0 4 1,15 * 1`` on the
    1st, the 15th and every Monday. If either field begins with ``*``, a day must match both, as in cron itself
    (crontab(5)). APScheduler alone would always demand that both match.
    """
    seconds = int(jitter.total_seconds()) or None
    interval = interval_of(when)
    if interval is not None:
        return IntervalTrigger(seconds=int(interval.total_seconds()), jitter=seconds, timezone=UTC)
    fields = cron_fields(when)
    assert fields is not None
    minute, hour, day, month, weekday = fields

    def on(**days: str) -> CronTrigger:
        return CronTrigger(minute=minute, hour=hour, month=month, timezone=UTC, **days)

    if day.startswith("*") or weekday.startswith("*"):
        exact = on(day=day, day_of_week=weekdays(weekday))
        exact.jitter = seconds
        return exact
    return OrTrigger([on(day=day), on(day_of_week=weekdays(weekday))], jitter=seconds)


def between(when: str, after: datetime, before: datetime, jitter: timedelta = timedelta(0)) -> list[datetime]:
    """The first ``MOST`` times of a schedule between two moments, neither of which counts.

    Args:
        when: An interval, which counts from ``after``, or a cron line in UTC.
        jitter: A time is left out if this delay would move it to ``before`` or later.
    """
    exact, last = trigger(when), after
    times: list[datetime] = []
    while len(times) < MOST:
        last = exact.get_next_fire_time(last, last)
        if last is None or last + jitter >= before:
            break
        times.append(last)
    return times


def weekdays(field: str) -> str:
    """Cron's field for the weekday, with names: APScheduler's numbers begin on Monday, and cron's on Sunday.

    ``0`` becomes ``sun``, ``1-5`` ``mon,tue,wed,thu,fri``, ``*/2`` ``sun,tue,thu,sat``.

    Raises:
        ValueError: A part of the field is no day.
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
