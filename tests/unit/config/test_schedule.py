"""``[schedule]``: intervals, cron lines, jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.config import interval_of, load
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
