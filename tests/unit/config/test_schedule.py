"""``[schedule]``: intervals, cron lines, jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.config import interval_of, load
from kbsync.config.schedule import cron_fields
from kbsync.domain.errors import ConfigError
from tests.support.config_samples import Writer, problems


def test_a_schedule_is_an_interval_or_a_cron_line(write: Writer) -> None:
    path = write()
    schedule = load(path, {"schedule": {"sync": "15 3 * * *", "jitter": "0s"}}).schedule
    assert (schedule.sync, interval_of(schedule.sync)) == ("15 3 * * *", None)
    schedule = load(path, {"schedule": {"sync": "90m"}}).schedule
    assert interval_of(schedule.sync) == timedelta(minutes=90)
    for days in ("0", "7", "1-5", "5-7", "fri-mon", "*/2", "1-5/2,sun", "MON"):
        assert interval_of(load(path, {"schedule": {"sync": f"0 4 * * {days}"}}).schedule.sync) is None
    for wrong in ("0s", "daily", "* * * *", "60 * * * *", "* * * * 8", "* * * * 1,", "* * * * someday", "* * * * 1-x"):
        assert problems(path, {"schedule": {"sync": wrong}})[0].startswith("command line: schedule.sync: ")


@pytest.mark.parametrize(
    ("when", "fields"),
    [
        ("0 4 1 JAN-mar/2 mon", ["0", "4", "1", "1-3/2", "mon"]),
        ("@Daily", ["0", "0", "*", "*", "*"]),
        ("@weekly", ["0", "0", "*", "*", "0"]),
        ("6h", None),
    ],
)
def test_months_and_whole_lines_have_names(write: Writer, when: str, fields: list[str] | None) -> None:
    assert load(write(), {"schedule": {"sync": when}}).schedule.sync == when
    assert cron_fields(when) == fields
    assert (interval_of(when) is None) is (fields is not None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 4 30 2 *", "never comes: month 2 has no day 30"),
        ("0 4 31 feb,apr *", "never comes"),
        ("0 4 last-sun * *", "'last-sun' is no day of the month"),
        ("0 4 * janx *", "'janx' is no month"),
        ("5,, * * * *", "'5,,' is no minute"),
        ("@reboot", "such as @daily"),
        ("CRON_TZ=Asia/Tokyo 0 4 * * *", "five fields"),
    ],
)
def test_a_line_that_cron_would_not_run_is_refused(write: Writer, line: str, says: str) -> None:
    (problem,) = problems(write(), {"schedule": {"sync": line}})
    assert says in problem


@pytest.mark.parametrize("line", ["0 4 * * 7", "0 4 * * 0", "0 4 * * 5-7", "0 4 * * sun"])
def test_a_cron_line_s_sunday_has_all_its_names(write: Writer, line: str) -> None:
    assert load(write(), {"schedule": {"sync": line}}).schedule.sync == line


def test_jobs_name_stages_and_relations_that_exist(write: Writer) -> None:
    jobs = {"offices": {"stage": "pull", "when": "15m", "relations": ["capital"], "jitter": "0s"}}
    assert load(write(), {"schedule": {"jobs": jobs}}).schedule.jobs["offices"].relations == ("capital",)
    wrong = {
        "sync": {"stage": "pull", "when": "1h"},
        "Upper": {"stage": "pull", "when": "1h"},
        "edits": {"stage": "edit", "when": "1h"},
        "often": {"stage": "pull", "when": "sometimes"},
        "part": {"stage": "gc", "when": "1d", "relations": ["capital"]},
        "few": {"stage": "canary", "when": "1d", "relations": ["capital"]},
        "some": {"stage": "notify", "when": "1d", "relations": ["capital"]},
    }
    for name, job in wrong.items():
        with pytest.raises(ConfigError):
            load(write(), {"schedule": {"jobs": {name: job}}})
