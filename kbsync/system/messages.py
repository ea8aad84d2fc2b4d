"""Errors of libraries in one sentence."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """The first line of an error, with a full stop; its type where it has no text."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
