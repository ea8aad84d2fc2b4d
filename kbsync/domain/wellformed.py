"""Which text may enter: names, values and reasons that every database, file and tokenizer can hold (pure functions).

JSON can say half of a surrogate pair (``"\\ud83d"``), which no encoding can write, and NUL, which PostgreSQL refuses.
Both come from outside, with labels that somebody cut in the middle of an emoji, so every entrance looks for them.
"""

from __future__ import annotations

import unicodedata


def flaw(text: str) -> str:
    """Why ``text`` can't be kept: it holds half a character, or NUL. Empty where it can."""
    if text.isprintable():
        return ""
    half = next((c for c in text if "\ud800" <= c <= "\udfff"), "")
    if half:
        return f"half a character (U+{ord(half):04X})"
    return "NUL (U+0000)" if "\0" in text else ""


def name_flaw(text: str) -> str:
    """Why ``text`` is no name: what ``flaw`` says, a control character, or nothing that could be seen or heard."""
    if text.isprintable() and text.strip():
        return ""
    control = next((c for c in text if unicodedata.category(c) == "Cc"), "")
    if broken := flaw(text):
        return broken
    if control:
        return f"a control character (U+{ord(control):04X})"
    return "" if any(unicodedata.category(c)[0] in "LMNPS" for c in text) else "nothing but blanks"
