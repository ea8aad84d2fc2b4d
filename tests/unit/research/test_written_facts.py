"""What facts are written and timed with: a store without target vectors, and a stopwatch."""

from __future__ import annotations

from kbsync.ports import Work
from kbsync.research.written_facts import FreshTargets, Stopwatch
from kbsync.testing.memory_artifacts import MemoryArtifactStore


def test_target_vectors_are_searched_anew_and_everything_else_is_found_again() -> None:
    store = MemoryArtifactStore()
    store.put("targets", "a", b"known")
    fresh = FreshTargets(store)
    fresh.put("targets", "b", b"searched")
    fresh.put("contexts", "c", b"kept")
    assert (fresh.get("targets", "a"), fresh.get("contexts", "c")) == (None, b"kept")
    assert (fresh.get("targets", "b"), FreshTargets(store).get("targets", "b")) == (b"searched", None)
    assert store.get("targets", "b") is None
    fresh.drop("contexts", "c")
    fresh.drop("targets", "b")
    assert (store.get("contexts", "c"), fresh.get("targets", "b")) == (None, None)
    assert store.get("targets", "a") == b"known"


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
