"""Processor time of a thread, seen from another one."""

from __future__ import annotations

import threading
import time

import pytest

from kbsync.system.effort import effort_of_this_thread


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_another_thread_sees_what_this_one_used_and_not_what_it_used_itself() -> None:
    effort = effort_of_this_thread()
    seen: list[float] = []

    def look() -> None:
        seen.append(effort())
        spin(0.05)
        seen.append(effort())

    spin(0.02)
    other = threading.Thread(target=look)
    other.start()
    other.join()
    assert seen[0] >= 0.02
    assert seen[1] - seen[0] < 0.05


def test_where_no_thread_is_told_from_another_the_process_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    effort = effort_of_this_thread()
    before, own = effort(), threading.Thread(target=spin, args=(0.05,))
    own.start()
    own.join()
    assert effort() - before >= 0.04
