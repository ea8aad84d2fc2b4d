"""How long the steps of an edit take."""

from __future__ import annotations

from kbsync.ports import Work
from kbsync.research.stopwatch import Stopwatch


def test_the_stopwatch_adds_up_each_step_also_inside_others() -> None:
    watch = Stopwatch(Work().progress)
    work = Work(watch)
    work.start("edit", None)
    for _ in range(2):
        work.start("targets", 3)
        work.advance(3)
        work.finish()
    work.finish("done")
    assert watch.seconds.keys() == {"edit", "targets"}
    for clock in ("clock", "processor"):
        assert getattr(watch.seconds["edit"], clock) >= getattr(watch.seconds["targets"], clock) > 0
