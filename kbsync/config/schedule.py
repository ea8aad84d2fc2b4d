"""``[schedule]``: what the daemon does, and when."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from kbsync.config.section import Section
from kbsync.config.values import AnyDuration, Duration, Text, duration, positive
from kbsync.config.values import unique as no_doubles

_DAY = "(?:[0-7]|sun|mon|tue|wed|thu|fri|sat)"
_WEEKDAYS = re.compile(rf"((\*|{_DAY}(-{_DAY})?)(/[1-9][0-9]*)?(,(?!\Z)|\Z))+\Z", re.IGNORECASE)
"""Cron's own days: Sunday is 0 and 7, while APScheduler's numbers begin on Monday."""

SYNC = "sync"
"""The job that every daemon has; no other may be called so."""


def _when(text: str) -> str:
    if len(text.split()) == 5:
        return _cron(text)
    try:
        length = duration(text)
    except ValueError:
        raise ValueError('is neither an interval such as "6h" nor a cron line of five fields') from None
    positive(length)
    return text


def _cron(line: str) -> str:
    from apscheduler.triggers.cron import CronTrigger  # 60 ms to import: only those who write cron lines wait for it

    minute, hour, day, month, weekday = line.split()
    try:
        CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"is not a cron line: {error}") from None
    if not _WEEKDAYS.match(weekday):
        raise ValueError(f"is not a cron line: {weekday!r} is not a day of the week (0 to 7, or sun to sat)")
    return line


When = Annotated[str, AfterValidator(_when)]
"""An interval, or a cron line in UTC."""


def interval_of(when: str) -> timedelta | None:
    """The length of an interval; None for a cron line."""
    return None if len(when.split()) == 5 else duration(when)


JobName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]


class JobSettings(Section):
    """One more thing that the daemon does by itself, beside ``sync``.

    ``relations`` narrows a pull or a probe to a group of relations (empty: all). ``jitter`` and ``deadline`` are the
    schedule's where they are not set here.
    """

    stage: Literal["pull", "probe", "gc", "canary", "notify"]
    when: When
    relations: Annotated[tuple[Text, ...], AfterValidator(no_doubles)] = ()
    jitter: AnyDuration | None = None
    deadline: Duration | None = None

    @model_validator(mode="after")
    def _grouped(self) -> JobSettings:
        if self.stage == "canary" and self.relations:
            raise ValueError("canaries are drawn from all that current holds; relations can't narrow them")
        if self.stage == "notify" and self.relations:
            raise ValueError("notifiers are told of whole versions; relations can't narrow them")
        if self.stage == "gc" and self.relations:
            raise ValueError("gc looks at whole versions; relations can't narrow it")
        return self


class ScheduleSettings(Section):
    """When the daemon synchronises; ``jitter`` delays each start at random by up to so much.

    A job that is still running after ``deadline`` is abandoned like one that is stopped. A stop waits
    ``stop_within`` for the running stage to come to a place where stopping is safe, and then leaves without it.
    ``keep_model``: how long a loaded model may idle in memory before it is let go. ``jobs`` are done beside ``sync``.
    """

    sync: When = "6h"
    jitter: AnyDuration = timedelta(minutes=5)
    deadline: Duration = timedelta(hours=12)
    stop_within: Duration = timedelta(minutes=2)
    keep_model: AnyDuration = timedelta(0)
    jobs: dict[JobName, JobSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named(self) -> ScheduleSettings:
        if SYNC in self.jobs:
            raise ValueError(f'"{SYNC}" is the job that is always there; give jobs.{SYNC} another name')
        return self
