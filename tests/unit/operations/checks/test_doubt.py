"""What a check finds that is no failure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.operations.checks.doubt import Doubt, rounded


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=59.6), "0:01:00"),
        (timedelta(days=3, hours=2), "3 days, 2:00:00"),
        (timedelta(microseconds=10), "0:00:00"),
    ],
)
def test_a_span_is_read_in_seconds(span: timedelta, text: str) -> None:
    assert rounded(span) == text


def test_a_doubt_says_what_and_what_next() -> None:
    doubt = Doubt("the disk is almost full", "Make room.")
    assert (str(doubt), doubt.next_step) == ("the disk is almost full", "Make room.")
