"""Counted products of torch, and the speed of this machine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kbsync.operations.flop_counter import FlopCounter, machine_speed


def test_a_product_counts_its_operations_and_bytes() -> None:
    with FlopCounter() as counted:
        torch.ones(3, 5) @ torch.ones(5, 7)
    assert counted.flops == 2 * 3 * 5 * 7
    assert counted.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)


def test_forward_and_backward_of_a_linear_layer_count_alike_with_and_without_autograd() -> None:
    layer, x = nn.Linear(5, 7, bias=False), torch.ones(2, 3, 5)
    with FlopCounter() as counted, torch.inference_mode():
        layer(x)
    assert counted.flops == 2 * 6 * 5 * 7
    with FlopCounter() as counted:
        layer(x.requires_grad_()).sum().backward()
    assert counted.flops == 3 * 2 * 6 * 5 * 7


def test_attention_on_the_processor_is_counted() -> None:
    q = torch.ones(2, 4, 6, 8)
    with FlopCounter() as counted, torch.inference_mode():
        nn.functional.scaled_dot_product_attention(q, q, q)
    assert counted.flops == 2 * 2 * 2 * 4 * 6 * 6 * 8


def test_counting_changes_no_result() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(16, 16), torch.randn(4, 16)
    plain = layer(x)
    with FlopCounter():
        counted = layer(x)
    assert torch.equal(plain, counted)


@pytest.mark.slow
def test_this_machine_has_speeds() -> None:
    found = machine_speed()
    assert found.flops > 0 and found.bytes > 0
