"""What rows share at their beginning is run once, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from kbsync.model.decoder import discover
from kbsync.model.decoding import greedy
from kbsync.model.shared_start import LEAST, attention_only, by_start, shared_start, states_behind
from tests.support.families import HYBRIDS, OTHERS, random_model

SAME = list(range(3, 3 + LEAST + 4))
ROWS = [[*SAME, 40, 41, 42], [*SAME, 50], [*SAME, 60, 61]]


def test_one_token_of_each_row_is_left_over() -> None:
    assert shared_start(ROWS) == len(SAME)
    assert shared_start([SAME, SAME]) == len(SAME) - 1
    assert shared_start([SAME, [*SAME, 9]]) == len(SAME) - 1
    assert shared_start(ROWS, most=LEAST + 1) == LEAST + 1


def test_a_short_start_and_a_single_row_are_not_worth_a_pass() -> None:
    assert shared_start([SAME]) == 0 and shared_start([]) == 0 and shared_start([[], []]) == 0
    assert shared_start([[*SAME[: LEAST - 1], 70, 71], [*SAME[: LEAST - 1], 80, 81]]) == 0
    assert shared_start(ROWS, most=LEAST - 1) == 0 and shared_start(ROWS, most=-3) == 0


def test_rows_that_begin_alike_are_found_among_others() -> None:
    other = list(range(90, 95 + LEAST))
    rows = [other, ROWS[0], [7, 8], ROWS[1], [*other[1:], 1]]
    assert by_start(rows) == [[0, 2, 4], [1, 3]]
    assert by_start([other]) == [[0]] and by_start([]) == []


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "qwen2", *HYBRIDS])
def test_states_and_gradients_are_those_of_whole_rows(family: str) -> None:
    model: Any = random_model(family).double()
    decoder = discover(model)
    start = shared_start(ROWS)
    weight: Any = decoder.layers[0].down.module.weight
    found = []
    for begin in (0, start):
        states = states_behind(decoder, ROWS, begin)
        last = torch.stack([states[n, len(row) - 1 - begin] for n, row in enumerate(ROWS)])
        (gradient,) = torch.autograd.grad(last.pow(2).sum(), weight)
        found.append((last.detach(), gradient))
    for whole, behind in zip(*found, strict=True):
        torch.testing.assert_close(behind, whole, rtol=1e-4, atol=1e-6)  # norms compute in float32


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "qwen2", *OTHERS])
def test_answers_are_those_of_each_row_alone(family: str) -> None:
    model: Any = random_model(family, torch.float64)
    alone = [greedy(model, [row], 6, lambda _: False, set())[0] for row in ROWS]
    assert greedy(model, ROWS, 6, lambda _: False, set()) == alone


@pytest.mark.parametrize("family", HYBRIDS)
def test_what_recurrent_layers_keep_is_not_repeated(family: str) -> None:
    model: Any = random_model(family)
    assert not attention_only(DynamicCache(config=model.config))
    assert attention_only(DynamicCache(config=random_model("llama").config))
