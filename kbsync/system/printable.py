"""Makes text from outside safe for a terminal: anybody may edit a label, and no label may control the terminal."""

from __future__ import annotations

import unicodedata

_CONTROLLING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder or hide text: controls, formats (bidirectional overrides among
them), lone surrogates, line and paragraph separators."""

_JOINERS = frozenset("\u200c\u200d")
"""Format characters that many scripts need inside words, and that only join or separate their neighbours."""


def printable(text: str, *, keep: str = "") -> str:
    """Write every character that could control a terminal as an escape (``\\x1b``, ``\\u202e``).

    Args:
        keep: Characters that are left as they are.
    """
    return "".join(c if c in keep or not _controls(c) else _escape(c) for c in text)


def _controls(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLLING and character not in _JOINERS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
