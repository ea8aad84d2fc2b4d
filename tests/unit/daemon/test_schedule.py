"""When jobs are due: cron lines, intervals, and what lies between two moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from kbsync.daemon.schedule import between, schedule_view, trigger, weekdays
from tests.support.daemon_service import Service

SATURDAY = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "*"),
        ("0", "sun"),
        ("7", "sun"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("5-7", "sun,fri,sat"),
        ("fri-mon", "sun,mon,fri,sat"),
        ("*/2", "sun,tue,thu,sat"),
        ("1-5/2,sun", "sun,mon,wed,fri"),
        ("MON", "mon"),
    ],
)
def test_weekdays_are_cron_s(field: str, days: str) -> None:
    assert weekdays(field) == days


@pytest.mark.parametrize("field", ["8", "someday", "", "1-x"])
def test_a_day_that_is_none_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="day of the week"):
        weekdays(field)


def test_sunday_is_sunday() -> None:
    made = trigger("30 4 * * 0")
    assert made.get_next_fire_time(None, SATURDAY) == datetime(2026, 1, 4, 4, 30, tzinfo=UTC)


def test_an_interval_counts_from_the_last_time() -> None:
    made = trigger("6h")
    assert made.get_next_fire_time(SATURDAY, SATURDAY) == SATURDAY + timedelta(hours=6)


def test_jitter_stays_within_its_bound() -> None:
    made = trigger("0 0 * * *", timedelta(minutes=5))
    midnight = datetime(2026, 1, 4, tzinfo=UTC)
    assert abs(made.get_next_fire_time(None, SATURDAY) - midnight) <= timedelta(minutes=5)


def test_times_between_two_moments() -> None:
    day = SATURDAY + timedelta(days=1)
    assert len(between("0 */6 * * *", SATURDAY, day)) == 3, "neither the first nor the last moment is between them"
    assert between("6h", SATURDAY, day) == [SATURDAY + timedelta(hours=6 * n) for n in (1, 2, 3)]
    assert between("6h", SATURDAY, SATURDAY + timedelta(hours=6, minutes=3), timedelta(minutes=5)) == [], (
        "still in time"
    )
    assert between("6h", SATURDAY, SATURDAY) == []


def test_the_view_shows_each_job_with_its_next_times(service: Service) -> None:
    (sync,) = schedule_view(service.configuration, SATURDAY).jobs
    assert (sync.name, sync.stage, sync.when, sync.relations) == ("sync", "sync", "1s", ())
    assert sync.jitter == 0 and sync.deadline == 12 * 3600
    assert len(sync.upcoming) == 3
    assert {later - earlier for earlier, later in pairwise(sync.upcoming)} == {timedelta(seconds=1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 4 5,15 * 1", ["5 Mon", "12 Mon", "15 Thu", "19 Mon", "26 Mon"]),
        ("0 4 13 * fri", ["9 Fri", "13 Tue", "16 Fri", "23 Fri", "30 Fri"]),
        ("0 4 31 2 1", ["2 Mon", "9 Mon", "16 Mon", "23 Mon", "1 Mon"]),  # a day that never comes; and the month stands
        ("0 4 */10 * 0", ["11 Sun", "1 Sun", "1 Sun", "31 Sun", "21 Sun"]),  # a field with * does not name days
        ("0 4 5 * *", ["5 Mon", "5 Thu", "5 Thu", "5 Sun", "5 Tue"]),
        ("0 4 1 jan-mar/2 *", ["1 Sun", "1 Fri", "1 Mon"]),  # March, and January and March of the next year
        ("0 4 * * 1", ["5 Mon", "12 Mon", "19 Mon", "26 Mon", "2 Mon"]),
    ],
)
def test_a_line_that_names_both_kinds_of_days_means_all_of_them(line: str, days: list[str]) -> None:
    times = between(line, SATURDAY, SATURDAY + timedelta(days=500))
    assert [f"{at.day} {at:%a}" for at in times[:5]] == days
    assert {(at.hour, at.minute) for at in times} == {(4, 0)}


def test_a_day_that_fits_both_is_due_once_and_jitter_stays_within_its_bound() -> None:
    line = "0 4 13 * fri"
    november = between(line, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert [at.day for at in november] == [6, 13, 20, 27]
    delayed = trigger(line, timedelta(minutes=5)).get_next_fire_time(None, SATURDAY)
    assert delayed is not None
    assert timedelta(0) <= delayed - datetime(2026, 1, 9, 4, tzinfo=UTC) <= timedelta(minutes=5)
