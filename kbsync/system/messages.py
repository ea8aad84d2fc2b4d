"""Errors of libraries in few words."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """An error of a library as one sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
