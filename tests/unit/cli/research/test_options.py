"""Options that the commands of research share."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from kbsync.cli.research.options import counts_of, data_of, targets_of


def test_demands_are_thresholds() -> None:
    low, high = targets_of(["memit@100.score>=0.9", " ft@10.perplexity <= 5 "])
    assert (low.metric, low.at_least, low.at_most) == ("memit@100.score", 0.9, None)
    assert (high.metric, high.at_least, high.at_most) == ("ft@10.perplexity", None, 5.0)
    assert targets_of(None) == []


@pytest.mark.parametrize("text", ["score", "score>0.9", "score>=high", ">=1"])
def test_what_is_no_demand_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--target"):
        targets_of([text])


def test_numbers_of_a_list() -> None:
    assert counts_of("1, 10,100", "--sizes") == [1, 10, 100]
    for text in ("", "0", "1,,2", "ten"):
        with pytest.raises(typer.BadParameter, match="--sizes is a list"):
            counts_of(text, "--sizes")


def test_a_part_that_there_is_not() -> None:
    with pytest.raises(typer.BadParameter, match="dev, test or all"):
        data_of(Path("cases.json"), "train", 0)
