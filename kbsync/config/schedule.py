"""``[schedule]``: which jobs the daemon runs, and when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from kbsync.config.section import Section
from kbsync.config.values import AnyDuration, Duration, Text, duration, positive
from kbsync.config.values import unique as no_doubles

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Days of the week in the order of cron's numbers; 7 is Sunday, too."""
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Cron's names for whole lines."""


def _field(one: str) -> re.Pattern[str]:
    """A pattern for a list of ``one``, ranges and steps; APScheduler reads fields from their left and ignores rests."""
    return re.compile(rf"((\*|{one}(-{one})?)(/[1-9][0-9]*)?(,(?!\Z)|\Z))+\Z", re.IGNORECASE)


_FIELDS = {
    "minute": _field("[0-9]{1,2}"),
    "hour": _field("[0-9]{1,2}"),
    "day of the month": _field("[0-9]{1,2}"),
    "month": _field(f"(?:[0-9]{{1,2}}|{'|'.join(_MONTHS)})"),
    "day of the week": _field(f"(?:[0-7]|{'|'.join(DAYS)})"),
}

SYNC = "sync"
"""Name of the job that every daemon has; no other job may have it."""


WHENS = 'an interval such as "6h" nor a cron line (five fields, or a name such as @daily)'


def _when(text: str) -> str:
    if len(written := _written(text)) == len(_FIELDS):
        _require_cron(written)
        return text
    try:
        length = duration(text)
    except ValueError:
        raise ValueError(f"is neither {WHENS}") from None
    positive(length)
    return text


def cron_fields(when: str) -> list[str] | None:
    """The five fields of a cron line, its month in numbers: ``0 4 * jan-mar *`` gives 0, 4, ``*``, 1-3, ``*``.

    None: ``when`` is an interval.
    """
    written = _written(when)
    return _numbered(written) if len(written) == len(_FIELDS) else None


def _written(when: str) -> list[str]:
    return _NAMED.get(when.strip().lower(), when).split()


def _numbered(written: Sequence[str]) -> list[str]:
    month = written[3].lower()
    for number, name in enumerate(_MONTHS, 1):
        month = month.replace(name, str(number))
    return [*written[:3], month, written[4]]


def _require_cron(written: Sequence[str]) -> None:
    from apscheduler.triggers.cron import CronTrigger  # takes 60 ms; only cron lines need it

    for field, (name, pattern) in zip(written, _FIELDS.items(), strict=True):
        if not pattern.match(field):
            raise ValueError(f"is not a cron line: {field!r} is no {name}")
    minute, hour, day, month, weekday = _numbered(written)
    try:
        days = CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"is not a cron line: {error}") from None
    if weekday == "*" and days.get_next_fire_time(None, _ANY_DAY) is None:
        raise ValueError(f"never comes: month {month} has no day {day}")


_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


When = Annotated[str, AfterValidator(_when)]
"""An interval, or a cron line in UTC."""


def interval_of(when: str) -> timedelta | None:
    """The length of an interval; None for a cron line."""
    return duration(when) if cron_fields(when) is None else None


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
