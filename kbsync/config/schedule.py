"""``[schedule]``: which jobs the daemon runs, and when."""

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
"""Days of the week as cron numbers them, Sunday being 0 and 7; APScheduler's numbers begin on Monday."""

SYNC = "sync"
"""Name of the job that every daemon has; no other job may have it."""


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
    from apscheduler.triggers.cron import CronTrigger  # takes 60 ms; only cron lines need it

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


_UNNARROWED = {
    "canary": "canaries are drawn from all that current holds; relations can't narrow them",
    "check-served": "a server is asked about all that current holds; relations can't narrow it",
    "notify": "notifiers are told of whole versions; relations can't narrow them",
    "gc": "gc looks at whole versions; relations can't narrow it",
}
"""Stages whose jobs may name no relations, and why."""


class JobSettings(Section):
    """A job of the daemon beside ``sync``."""

    stage: Literal["pull", "probe", "gc", "canary", "check-served", "notify"]
    """What it runs."""
    when: When
    """When it starts."""
    relations: Annotated[tuple[Text, ...], AfterValidator(no_doubles)] = ()
    """Names of the relations to which a pull or a probe is narrowed; empty: all."""
    jitter: AnyDuration | None = None
    """As in the schedule, which holds where this is None."""
    deadline: Duration | None = None
    """As in the schedule, which holds where this is None."""

    @model_validator(mode="after")
    def _narrowed(self) -> JobSettings:
        if self.relations and self.stage in _UNNARROWED:
            raise ValueError(_UNNARROWED[self.stage])
        return self


class ScheduleSettings(Section):
    """When the daemon synchronises, and which other jobs it runs."""

    sync: When = "6h"
    """When a synchronisation starts."""
    jitter: AnyDuration = timedelta(minutes=5)
    """Each start is delayed by a random time of at most this."""
    deadline: Duration = timedelta(hours=12)
    """A job that still runs after this time is stopped."""
    stop_within: Duration = timedelta(minutes=2)
    """A stop waits this long for the running stage to reach a place where stopping is safe, and then leaves anyway."""
    keep_model: AnyDuration = timedelta(0)
    """How long a loaded model may idle in memory between two jobs."""
    jobs: dict[JobName, JobSettings] = Field(default_factory=dict)
    """The other jobs, by name."""

    @model_validator(mode="after")
    def _named(self) -> ScheduleSettings:
        if SYNC in self.jobs:
            raise ValueError(f'"{SYNC}" is the job that is always there; give jobs.{SYNC} another name')
        return self
