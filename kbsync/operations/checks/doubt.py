"""The warning that a check raises: it found something, and did not fail."""

from __future__ import annotations

from datetime import timedelta


class Doubt(Exception):
    """A warning: the check did not fail, and somebody should know what it found."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


def rounded(span: timedelta) -> str:
    """A span to the second: ``2 days, 3:00:00``."""
    return str(timedelta(seconds=round(span.total_seconds())))
