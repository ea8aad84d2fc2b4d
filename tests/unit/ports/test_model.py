from __future__ import annotations

import math

import pytest

from kbsync.ports import PairScore


def test_an_answer_is_strict_only_where_each_of_its_tokens_is_the_likeliest() -> None:
    assert PairScore(0.5, (True, True)).strict
    assert not PairScore(0.5, (True, False)).strict


def test_the_log_probability_is_that_of_all_tokens() -> None:
    first, second = 0.5, 0.25
    score = PairScore(-(math.log(first) + math.log(second)) / 2, (True, False))
    assert math.exp(score.logprob) == pytest.approx(first * second)
