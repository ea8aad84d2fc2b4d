"""The text of an answer: its first sentence, its words, and what counts as the same spelling (pure functions).

Continuations and labels come from strangers. Only their beginning is read, and every pattern here takes time that is
linear in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kbsync.domain.date_names import month_words
from kbsync.domain.scripts import CLUSTER, MARK, outline, plain

LONGEST_ANSWER = 600
"""Characters of a continuation that are read: an answer stands at its beginning."""


def word_set(text: str) -> frozenset[str]:
    """The words of ``text``, so that a list of many words stands in few lines."""
    return frozenset(text.split())


_ENDS = re.compile(r"<\|[^<>|\n]{1,40}\|>|</s>|<eos>|<end_of_turn>|<br ?/?>")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,60}>")
_MARKUP = str.maketrans("", "", '*`"“”„«»「」『』《》〈〉\u200b\u200e\u200f\ufeff')
_HEADING = re.compile(r"(?<![^\s])#+|(?<=\s)#+(?=\s*$)")
_UNDERLINE = re.compile(r"_{2,}")
_STOP = re.compile(r"[.!?…;]+(?=[\s)\]']|$)|[。！？｡।॥؟۔]+")
_WORD = re.compile(rf"{CLUSTER}{MARK}*|[^\W_]+(?:['’ʼ!][^\W_]+)*(?:[+#]+(?![^\W_]))?|[^\s]")
_MARKER = re.compile(r"\(?([a-d]|[1-4])[.):](?: |$)", re.IGNORECASE)
_HALF_WIDTH = re.compile("[\uff61-\uff9f]+")
"""Japanese syllables of half width, whose marks are characters of their own."""
_SYMBOLS = frozenset("€$£¥&")

_ABBREVIATIONS = word_set("""
    st dr mr mrs ms jr sr prof gen sen rep gov capt lt col sgt rev hon mt ft inc co ltd corp bros no vs u.s u.k e.g i.e
    av ap pr př
""")
_STARTERS = word_set("""
    it the he she they this that these its his her in a an there question q i we you however and but what who
""")

_COUNTED = frozenset({"jahrhundert", "jahrtausend"})

_CYRILLIC = dict(zip("абвгдеєзиіїйклмнопрстуфыэ", "abvgdeeziiiiklmnoprstufye", strict=True))
_CYRILLIC |= {
    "ж": "zh",
    "х": "kh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ю": "yu",
    "я": "ya",
    "ь": "",
    "ъ": "",
}
_LATIN = dict(zip("łøđıəħŋ", "lodiahn", strict=True)) | {"æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
_LETTERS = str.maketrans(_LATIN | _CYRILLIC)
_SHORT = {"saint": "st", "mount": "mt", "versus": "vs", "junior": "jr", "senior": "sr", "doctor": "dr"}
_VOWELS = "aeiouy"
_PAIRS = ("ck", "sz", "vw", "fv", "td", "bv", "gj", "kq", "sc")
_APOSTROPHE = re.compile(r"['’ʼ]s$|['’ʼ]")
_RUN = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, or one of its punctuation marks."""

    text: str
    fold: str
    """What is compared: without case, accents and apostrophes, in Latin letters; empty for a punctuation mark."""
    spaced: bool
    """Whether a blank stands before it."""
    touching: bool = False
    """Whether it is one character of a script that writes words without blanks."""

    @property
    def capital(self) -> bool:
        """Whether it begins as names do, with a capital letter or a digit."""
        return self.text[0].isupper() or self.text[0].isdigit()

    @property
    def initials(self) -> bool:
        """Whether it is several capital letters, as "NASA" is."""
        return len(self.text) > 1 and self.text.isupper() and self.text.isalpha()

    @property
    def possessive(self) -> bool:
        return self.text.endswith(("'s", "’s"))


@dataclass(frozen=True, slots=True)
class Clause:
    """The part of a continuation that is the answer."""

    text: str
    whole: bool
    """Whether it came to an end; otherwise the continuation was cut off in its middle."""
    question: bool = False
    """Whether it asks instead of answering."""
    choices: bool = False
    """Whether it is the first of several choices."""


@lru_cache(maxsize=4096)
def fold(word: str) -> str:
    """One word without case, width, accents, apostrophes and possessive, in Latin letters."""
    folded = plain(_APOSTROPHE.sub("", word)).translate(_LETTERS)
    return _SHORT.get(folded, folded)


def words(text: str) -> list[Word]:
    """The words and punctuation marks of ``text``."""
    made, end = [], 0
    text = _HALF_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    for match in _WORD.finditer(outline(text)):
        token = text[match.start() : match.end()]
        touching = match.group()[0] == CLUSTER
        own = token[0].isalnum() or token in _SYMBOLS
        folded = ("and" if token == "&" else plain(token) if touching else fold(token)) if own else ""
        made.append(Word(token, folded, match.start() > end or match.start() == 0, touching))
        end = match.end()
    return made


def without_initials(said: Sequence[Word], names: Iterable[str]) -> list[Word]:
    """The words of an answer without bracketed initials behind what they stand for: "the Red Cross (RC)".

    Where the initials are one of ``names``, they stay, and what they stand for goes.
    """
    kept: list[Word] = []
    named = {fold(name) for name in names}
    at = 0
    while at < len(said):
        opening, *rest = said[at : at + 3]
        whole = opening.text == "(" and len(rest) == 2 and rest[1].text == ")"
        begin = _spelled_out(kept, rest[0].text) if whole else None
        if begin is None:
            kept.append(opening)
            at += 1
            continue
        if rest[0].fold in named:
            kept[begin:] = [rest[0]]
        at += 3
    return kept


def _spelled_out(before: Sequence[Word], letters: str) -> int | None:
    """Where the last words of ``before`` begin whose capital letters these are; None where they are not."""
    if len(letters) < 2 or not all(letter.isupper() or letter.isdigit() for letter in letters):
        return None
    # From the end, and no further than the first capital that differs: many brackets take no longer than the text.
    missing = list(letters)
    for at in range(len(before) - 1, -1, -1):
        if not (before[at].fold and before[at].capital):
            continue
        if before[at].text[0] != missing.pop():
            return None
        if not missing:
            return at
    return None


def word_ends(text: str) -> list[int]:
    """Where the words of ``text`` end."""
    return [match.end() for match in _WORD.finditer(outline(text)) if text[match.start()].isalnum()]


_LEADING = re.compile(r"^(?:the|a|an)\s+")
_INSIDE = str.maketrans("'’ʼ!", "    ")


def folded_words(text: str) -> str:
    """The words of ``text`` without case, width, accents and punctuation, one blank between them.

    Characters of scripts without blanks stand apart, so that a name is found within a run of them.
    """
    found = [text[m.start() : m.end()] for m in _WORD.finditer(outline(text)) if text[m.start()].isalnum()]
    return " ".join(" ".join(plain(word).translate(_INSIDE) for word in found).split())


def normalise(text: str) -> str:
    """As ``folded_words``, without a leading English article; a text of signs only ("!!!") stays as it is."""
    folded = folded_words(text)
    return _LEADING.sub("", folded) if folded else " ".join(text.split())


def first_clause(continuation: str) -> Clause:
    """The answer: the first sentence of the first line that says something, without markup.

    A line that only leads in ("The answer is:") is joined with the one after it.
    """
    text = unicodedata.normalize("NFC", continuation[:LONGEST_ANSWER])
    text = _TAG.sub("", _ENDS.sub("\n", text)).translate(_MARKUP)
    parts = [_HEADING.sub("", _UNDERLINE.sub("", part)).strip() for part in text.split("\n")]
    saying = [at for at, part in enumerate(parts) if _says(part)]
    if not saying:
        return Clause("", whole=False)
    first, then = saying[0], saying[1] if len(saying) > 1 else None
    line, last = parts[first], first
    if then is not None and _MARKER.match(line) and _MARKER.match(parts[then]):
        return Clause(line, whole=True, choices=True)
    if then is not None and line.endswith(":"):
        line, last = f"{line} {parts[then]}", then
    whole = last < len(parts) - 1 or len(continuation) > LONGEST_ANSWER
    for stop in _STOP.finditer(line):
        if stop.group() != "." or not _abbreviates(line, stop.start(), stop.end()):
            return Clause(line[: stop.start()], whole=True, question=any(mark in stop.group() for mark in "?？؟"))
    return Clause(line, whole=whole)


def _says(line: str) -> bool:
    return any(c.isalnum() or c in _SYMBOLS for c in line)


def _abbreviates(line: str, start: int, end: int) -> bool:
    """Whether the dot at ``start`` belongs to an initial or to an abbreviation, so that the sentence goes on."""
    before = line[max(0, start - 12) : start].split()
    after = line[end : end + 24].split()
    if not before or not after:
        return False
    if after[0][0].islower():
        return True
    if before[-1].isdigit() and len(before[-1]) <= 2 and _counted(after[0]):
        return True
    if fold(after[0].strip(",.")) in _STARTERS:
        return False
    last = before[-1].lstrip("(").casefold()
    if last in _ABBREVIATIONS or (last.split(".")[-1] in _ABBREVIATIONS):
        return True
    initial = last.split(".")[-1]
    return len(initial) == 1 and initial.isalpha() and after[0][0].isupper()


def _counted(word: str) -> bool:
    """Whether a number with a dot before this word counts it, as in "20. Juli" and "20. Jahrhundert"."""
    return word.strip(",.").casefold() in month_words() | _COUNTED


def alike(said: str, named: str) -> bool:
    """Whether two folded words are spellings of one: equal, transliterated otherwise, or one letter off when long."""
    if said == named:
        return True
    if min(len(said), len(named)) < 5 or not (said.isalpha() and named.isalpha()):
        return False
    if _sound(said) == _sound(named):
        return True
    return min(len(said), len(named)) >= 7 and _one_letter_off(said, named)


@lru_cache(maxsize=4096)
def _sound(word: str) -> str:
    """A word in the plainest of its transliterations: "Zelenskyy", "Zelenskiy" and "Zelensky" have the same."""
    plain = word.replace("oe", "o").replace("ae", "a").replace("ue", "u").replace("y", "i").replace("j", "i")
    return _RUN.sub(r"\1", plain)


def _one_letter_off(one: str, other: str) -> bool:
    """Whether one inner letter was heard otherwise: a vowel, an "h", or one of a pair such as "c" and "k".

    "Romanian" is not "Romania", and "Wikipedia" not "Wikimedia".
    """
    if one[0] != other[0] or one[-1] != other[-1] or abs(len(one) - len(other)) > 1:
        return False
    at = next(i for i, (a, b) in enumerate(zip(one + "\0", other + "\1", strict=False)) if a != b)
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    if len(longer) > len(shorter):
        return longer[at + 1 :] == shorter[at:] and longer[at] in _VOWELS + "h"
    same = one[at + 1 :] == other[at + 1 :]
    pair = one[at] + other[at]
    return same and ((pair[0] in _VOWELS and pair[1] in _VOWELS) or pair in _PAIRS or pair[::-1] in _PAIRS)
