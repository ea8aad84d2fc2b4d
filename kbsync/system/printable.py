"""Text from outside on its way to a terminal: labels are anybody's to edit, and must not steer it."""

from __future__ import annotations

import unicodedata

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder or hide text: controls, formats (bidirectional overrides among
them), lone surrogates, line and paragraph separators."""

_JOINERS = frozenset("\u200c\u200d")
"""Format characters that many scripts need inside words, and that only join or part their neighbours."""


def printable(text: str, *, keep: str = "") -> str:
    """Write every character that could steer a terminal as an escape (``\\x1b``, ``\\u202e``); ``keep`` passes."""
    return "".join(c if c in keep or not _steers(c) else _escape(c) for c in text)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _STEERING and character not in _JOINERS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
