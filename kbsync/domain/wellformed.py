"""Which text may enter: names, values and reasons that every database, file and tokenizer can hold (pure functions).

JSON can say half of a surrogate pair (``"\\ud83d"``), which no encoding can write, and NUL, which PostgreSQL refuses.
Both come from outside, with labels that somebody cut in the middle of an emoji, so every entrance looks for them.
"""

from __future__ import annotations

import re
import unicodedata

from kbsync.domain.statement import ItemHead, Labels, Value, ValueKind

_TIME = re.compile(r"-?[0-9]{4,16}-(0[0-9]|1[0-2])-([0-2][0-9]|3[01])T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_QUANTITY = re.compile(r"[+-][0-9]{1,401}(\.[0-9]{1,800})?\Z")
_ITEM = re.compile(r"Q[1-9][0-9]{0,11}\Z")
_PRECISION = re.compile(r"([0-9]|1[0-4])\Z")
_LARGEST = 2**63 - 1
_EDITED = range(1990, 9999)
"""Years in which an edit may have been made, by whatever clock."""


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
    control = next((c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")), "")
    if broken := flaw(text):
        return broken
    if control:
        return f"a control character (U+{ord(control):04X})"
    return "" if any(unicodedata.category(c)[0] in "LMNPS" for c in text) else "nothing but blanks"


def tidy(name: str) -> str:
    """A name in composed characters (NFC), without blanks at its ends and without what nobody sees.

    Wikibase stores names so; mirrors and other stores may not. A byte order mark or a control of direction would be
    learnt with the name, and reorders what stands around it. The joiners U+200C and U+200D stay: they tell words apart.
    """
    if name.isascii():
        return name.strip(" ")
    return _UNSEEN.sub("", unicodedata.normalize("NFC", name)).strip(_BLANKS)


_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


def without_flaws(labels: Labels) -> Labels:
    """The names that can be names, tidied."""
    label = tidy(labels.label) if labels.label is not None else None
    aliases = tuple(sorted({tidy(a) for a in labels.aliases if not name_flaw(a)} - {label}))
    return Labels(item=labels.item, label=None if label is None or name_flaw(label) else label, aliases=aliases)


def value_flaw(value: Value) -> str:
    """Why ``value`` can't be one of Wikidata's: its form is not that of its kind. Empty where it can."""
    if broken := flaw(value.text) or flaw(value.detail):
        return broken
    forms = {
        ValueKind.TIME: (_TIME, _PRECISION),
        ValueKind.QUANTITY: (_QUANTITY, re.compile(rf"({_ITEM.pattern})?\Z")),
        ValueKind.ITEM: (_ITEM, re.compile(r"\Z")),
    }
    if value.kind not in forms:
        return ""
    text, detail = forms[value.kind]
    if not text.match(value.text):
        return f"{value.text[:80]!r}, which is no {value.kind.value}"
    return "" if detail.match(value.detail) else f"{value.detail[:80]!r} as the detail of a {value.kind.value}"


def head_flaw(head: ItemHead) -> str:
    """Why ``head`` can't be an item's: its revision or its date lies beyond what can be. Empty where it can."""
    if not 0 <= head.revision <= _LARGEST:
        return f"{head.id} has the revision {str(head.revision)[:40]}"
    if head.modified is not None and head.modified.year not in _EDITED:
        return f"{head.id} was edited in the year {head.modified.year}"
    return ""
