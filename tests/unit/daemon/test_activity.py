"""What a lane is doing, as it is seen from other threads, and the progress that feeds it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.daemon.activity import IDLE, RUNNING, Activity, WatchedProgress
from kbsync.daemon.metrics import ProcessMetrics
from tests.support.stage_world import START, World


@pytest.fixture
def activity(world: World) -> Activity:
    return Activity(world.clock)


def test_a_job_is_shown_from_its_beginning_to_its_end(activity: Activity, world: World) -> None:
    idle = activity.view
    assert (idle.state, idle.job, idle.since, idle.last) == (IDLE, None, None, None)
    began = world.clock.now()
    activity.began("sync")
    running = activity.view
    assert (running.state, running.job, running.since, running.last) == (RUNNING, "sync", began, None)
    world.pass_time(timedelta(hours=1))
    activity.ended("promoted")
    ended = activity.view
    assert (ended.state, ended.last) == (IDLE, "promoted")
    assert ended.since == ended.last_at == began + timedelta(hours=1)
    assert (running.state, running.job) == (RUNNING, "sync"), "a picture does not change"


def test_the_next_job_is_shown_whatever_runs(activity: Activity) -> None:
    activity.scheduled(START, "offices")
    activity.began("sync")
    assert (activity.view.next_at, activity.view.next_job) == (START, "offices")
    activity.scheduled(None, "")
    assert activity.view.next_at is None


def test_progress_shows_the_step_that_runs_and_measures_the_one_that_ended(activity: Activity) -> None:
    metrics = ProcessMetrics()
    progress = WatchedProgress(activity, metrics)
    activity.began("sync")
    progress.start("target vectors", 3)
    progress.advance(2)
    view = activity.view
    assert (view.step, view.done, view.total) == ("target vectors", 2, 3)
    progress.advance()
    progress.finish()
    progress.start("nothing to do", 0)
    progress.finish()

    def count(step: str) -> float | None:
        return metrics.registry.get_sample_value("kbsync_stage_seconds_count", {"stage": step})

    assert count("target vectors") == 1
    assert count("nothing to do") is None, "a step without items is not measured"
    activity.ended("promoted")
    assert (activity.view.step, activity.view.done, activity.view.total) == (None, 0, None)
