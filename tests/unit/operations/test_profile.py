"""The measurements of ``--profile``: steps in steps, and the table."""

from __future__ import annotations

import torch

from kbsync.operations.meter import MachineSpeed, Meter
from kbsync.operations.profile import Profile, table
from kbsync.ports import UNWATCHED


def test_steps_inside_steps_are_lines_of_their_own_and_count_in_the_outer_one() -> None:
    profile = Profile()
    progress = profile.watching(UNWATCHED.progress)
    for _ in range(2):
        progress.start("edit", 3)
        progress.start("layers", 3)
        torch.ones(2, 2) @ torch.ones(2, 2)
        progress.advance(3)
        progress.finish()
        progress.finish()
    assert profile.end()
    lines = list(profile.steps())
    assert [(line.path, line.calls, line.items) for line in lines] == [
        (("edit",), 2, 6),
        (("edit", "layers"), 2, 6),
    ]
    assert [line.spent.flops for line in lines] == [32, 32]
    assert lines[0].spent.wall >= lines[1].spent.wall > 0
    assert profile.total.wall >= lines[0].spent.wall


def test_a_step_that_an_error_left_open_counts_up_to_the_end() -> None:
    profile = Profile()
    profile.watching(UNWATCHED.progress).start("edit", None)
    assert profile.end() and profile.end()
    (line,) = profile.steps()
    assert line.calls == 1


def test_nothing_begun_means_no_table() -> None:
    assert not Profile().end()


def test_the_table_tells_the_distance_to_the_limit() -> None:
    profile = Profile()
    progress = profile.watching(UNWATCHED.progress)
    progress.start("edit", 1)
    progress.finish()
    profile.end()
    (line,) = profile.steps()
    line.spent, profile.total = Meter(2.0, 3.0, 5e9, 1e9), Meter(4.0, 4.0, 5e9, 1e9)
    shown = table(profile, MachineSpeed(flops=10e9, bytes=1e9)).splitlines()
    assert shown[0].split()[:4] == ["step", "calls", "items", "s"]
    assert shown[1].split() == ["edit", "1", "0", "2.00", "3.00", "50%", "5.0", "1.0", "1.00", "50%"]
    assert shown[2].split()[-7:] == ["2.00", "1.00", "50%", "0.0", "0.0", "0.00", "0%"]
    assert shown[3].split()[0] == "all"
