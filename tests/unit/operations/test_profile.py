"""The books of ``--profile``: steps in steps, counted products, and the table."""

from __future__ import annotations

import torch
from torch import nn

from kbsync.operations.flop_counter import Products, speeds
from kbsync.operations.meter import Meter, Speeds
from kbsync.operations.profile import Profile, table
from kbsync.ports import UNWATCHED


def test_a_product_counts_its_operations_and_bytes():
    with Products() as counted:
        torch.ones(3, 5) @ torch.ones(5, 7)
    assert counted.operations == 2 * 3 * 5 * 7
    assert counted.moved == 4 * (3 * 5 + 5 * 7 + 3 * 7)


def test_forward_and_backward_of_a_linear_layer_count_alike_with_and_without_autograd():
    layer, x = nn.Linear(5, 7, bias=False), torch.ones(2, 3, 5)
    with Products() as counted, torch.inference_mode():
        layer(x)
    assert counted.operations == 2 * 6 * 5 * 7
    with Products() as counted:
        layer(x.requires_grad_()).sum().backward()
    assert counted.operations == 3 * 2 * 6 * 5 * 7


def test_attention_on_the_processor_is_counted():
    q = torch.ones(2, 4, 6, 8)
    with Products() as counted, torch.inference_mode():
        nn.functional.scaled_dot_product_attention(q, q, q)
    assert counted.operations == 2 * 2 * 2 * 4 * 6 * 6 * 8


def test_counting_changes_no_result():
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 16), torch.randn(4, 16)
    plain = layer(x)
    with Products():
        counted = layer(x)
    assert torch.equal(plain, counted)


def test_steps_inside_steps_are_lines_of_their_own_and_count_in_the_outer_one():
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
    lines = list(profile.lines())
    assert [(line.path, line.calls, line.items) for line in lines] == [
        (("edit",), 2, 6),
        (("edit", "layers"), 2, 6),
    ]
    assert [line.spent.operations for line in lines] == [32, 32]
    assert lines[0].spent.wall >= lines[1].spent.wall > 0
    assert profile.total.wall >= lines[0].spent.wall


def test_a_step_that_an_error_left_open_counts_up_to_the_end():
    profile = Profile()
    profile.watching(UNWATCHED.progress).start("edit", None)
    assert profile.end() and profile.end()
    (line,) = profile.lines()
    assert line.calls == 1


def test_nothing_begun_means_no_table():
    assert not Profile().end()


def test_the_table_tells_the_distance_to_the_limit():
    profile = Profile()
    progress = profile.watching(UNWATCHED.progress)
    progress.start("edit", 1)
    progress.finish()
    profile.end()
    (line,) = profile.lines()
    line.spent, profile.total = Meter(2.0, 3.0, 5e9, 1e9), Meter(4.0, 4.0, 5e9, 1e9)
    shown = table(profile, Speeds(operations=10e9, moved=1e9)).splitlines()
    assert shown[0].split()[:4] == ["step", "calls", "items", "s"]
    assert shown[1].split() == ["edit", "1", "0", "2.00", "3.00", "50%", "5.0", "1.0", "1.00", "50%"]
    assert shown[2].split()[-7:] == ["2.00", "1.00", "50%", "0.0", "0.0", "0.00", "0%"]
    assert shown[3].split()[0] == "all"


def test_this_machine_has_speeds():
    found = speeds()
    assert found.operations > 0 and found.moved > 0
