from __future__ import annotations

import pytest
import torch

from kbsync.model.decoding import Continuation, greedy
from kbsync.model.tokens import encode
from tests.support.random_models import ARCHITECTURES, SENTENCES, random_model


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows_of(architecture: str) -> list[list[int]]:
    return [
        item.ids
        for item in encode(
            random_model(architecture)[1], [s[:n] for n, s in zip((9, 30, 4, 18), SENTENCES, strict=True)]
        )
    ]


def plain(architecture: str, row: list[int], count: int) -> list[int]:
    """Greedy tokens, each from a forward pass over all before it."""
    model, ids = random_model(architecture)[0], list(row)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(row) :]


def test_each_row_is_continued_as_if_it_were_alone(architecture: str) -> None:
    model, rows = random_model(architecture)[0], rows_of(architecture)
    new = greedy(model, rows, 8, ends=lambda _: False, eos=set())
    assert new == [plain(architecture, row, 8) for row in rows]


def test_a_row_ends_before_its_eos_and_after_its_last_token_and_leaves_the_others_alone(architecture: str) -> None:
    model, rows = random_model(architecture)[0], rows_of(architecture)
    whole = [plain(architecture, row, 8) for row in rows]
    eos, last = whole[1][3], whole[2][5]

    def expected(tokens: list[int]) -> list[int]:
        until = tokens[: tokens.index(eos)] if eos in tokens else tokens
        return until[: until.index(last) + 1] if last in until else until

    new = greedy(model, rows, 8, ends=lambda token: token == last, eos={eos})
    assert new == [expected(tokens) for tokens in whole]
    assert len({len(tokens) for tokens in new}) > 1


def test_no_token_is_asked_for_and_none_comes(architecture: str) -> None:
    model, rows = random_model(architecture)[0], rows_of(architecture)
    assert greedy(model, rows, 0, ends=lambda _: False, eos=set()) == [[] for _ in rows]


@torch.inference_mode()
def test_the_caller_chooses_the_next_tokens_and_the_rows_that_go_on(architecture: str) -> None:
    model, rows = random_model(architecture)[0], rows_of(architecture)
    batch = Continuation(model, rows)
    batch.logits()
    batch.append(torch.tensor([5, 6, 7, 8]))
    batch.select(torch.tensor([1, 3]))
    logits = batch.logits()
    for row, token, found in ((rows[1], 6, logits[0]), (rows[3], 8, logits[1])):
        alone = model(input_ids=torch.tensor([[*row, token]])).logits[0, -1]
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)
