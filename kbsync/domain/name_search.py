"""Where the names of values stand in an answer (pure functions)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbsync.domain.answer_text import Word, alike, fold, word_set
from kbsync.domain.answer_vocabulary import (
    APART,
    ARTICLES,
    COMPASS,
    CONTINENTS,
    DIVIDED,
    FAITH,
    FAITHS,
    GENERIC,
    LEGAL,
    NATIONALITIES,
    PARTICLES,
    PLAIN,
    PRAISE,
    QUARTERS,
    ROYAL,
    TITLES,
    TONGUES,
)
from kbsync.domain.answer_words import Setting
from kbsync.domain.scripts import bare, may_follow, may_precede, visible
from kbsync.domain.spellings import Spelling, spellings_of

_DIGITS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8"}
_PLURALS = ("s", "es", "r", "er", "n", "en")
_BETWEEN = frozenset(".,-'’–/:()・･·=＝")


@dataclass(frozen=True, slots=True)
class Found:
    """A name in an answer: which, and its first word and the one after its last."""

    name: str
    right: bool
    start: int
    end: int


def search(said: Sequence[Word], good: Sequence[str], old: Sequence[str], setting: Setting) -> list[Found]:
    """All names that stand in the answer by themselves, in their order; of several at one place the longest."""
    spellings = [*spellings_of(good, right=True), *spellings_of(old, right=False)]
    surnames = [s for s in spellings if s.surname]
    shared = {s.folds for s in surnames if any(o.folds == s.folds and o.right != s.right for o in surnames)}
    found, at = [], 0
    while at < len(said):
        person = _means_a_person(said, at, setting)
        usable = [s for s in spellings if not s.surname or (person and s.folds not in shared)]
        ends = [(end, spelling) for spelling in usable if (end := _match(said, at, spelling))]
        at += 1
        if not ends:
            continue
        end, best = max(ends, key=lambda hit: (hit[0], hit[1].right, not hit[1].reduced))
        hit = Found(best.name, best.right, at - 1, end)
        if _echoes(said, hit, setting, reduced=best.reduced):
            at = end
        elif tail := _alone(said, hit, spellings, best, setting):
            found.append(replace(hit, end=tail))
            at = tail
    return found


def _echoes(said: Sequence[Word], found: Found, setting: Setting, *, reduced: bool) -> bool:
    """Whether the answer only repeats what it was asked about, and the name is a piece of that.

    "Canadian Rockies" in an answer about the Canadian Rockies says nothing of the Rockies.
    """
    folds = [w.fold for w in said[found.start : found.end] if w.fold]
    if reduced and found.start == 0 and not any(w.fold for w in said[found.end :]):
        return False  # nothing else is said: "Yamagata" is the capital of Yamagata Prefecture
    restated = len(folds) > 1 and [w.fold for w in said[found.end : found.end + 1]] in (["is"], ["was"], ["are"])
    if (reduced or restated) and setting.holds(folds):
        return True
    before, after = said[max(0, found.start - 1) : found.start], said[found.end : found.end + 1]
    around = [w for w in (*before, *after) if w.capital and w.fold and w.fold not in ARTICLES]
    return any(setting.holds([w.fold, *folds] if w in before else [*folds, w.fold]) for w in around)


def _match(said: Sequence[Word], at: int, spelling: Spelling) -> int:
    """Where the spelling that begins at ``at`` ends; 0 where it does not stand there."""
    if spelling.raw:
        own = visible(said[at].text) in (spelling.raw, spelling.raw + "'s")
        return at + 1 if own or _dialled(said[at], spelling) else 0
    if spelling.folds == (FAITHS.get(said[at].fold),):  # "the Islamic faith", "whose religion was Protestant"
        after = [w.fold for w in said[at + 1 : at + 2]]
        return at + 1 + len(after) if not after or after[0] in FAITH else 0
    place = at
    for count, wanted in enumerate(spelling.folds):
        if count:
            while place < len(said) and (said[place].text in _BETWEEN or _initial(said, place, wanted)):
                place += 1
        if place >= len(said) or not said[place].fold or not _same(said[place], wanted, count, spelling):
            return 0
        place += 1
    return place


def _dialled(word: Word, spelling: Spelling) -> bool:
    """Whether a calling code is said as it is dialled, "0033" for "+33"."""
    return spelling.name.startswith("+") and word.text.startswith("00") and word.text[2:] == spelling.name[1:]


def _initial(said: Sequence[Word], place: int, wanted: str) -> bool:
    """Whether a middle initial stands here that the name does not have."""
    word = said[place]
    return len(word.text) == 1 and word.text.isupper() and word.fold != wanted and len(wanted) > 1


def _same(word: Word, wanted: str, count: int, spelling: Spelling) -> bool:
    if alike(word.fold, wanted) or (count and word.fold == _DIGITS.get(wanted)):
        return True
    if wanted in NATIONALITIES and word.fold == wanted + "ian":  # "Slovakian" is Slovak
        return True
    several = len(spelling.folds) > 1
    if several and count < len(spelling.folds) - 1 and word.fold == wanted + "s":  # "the Yankees Stadium"
        return True
    if several and count == len(spelling.folds) - 1 and wanted in GENERIC and wanted == word.fold + "s":
        return True  # "the Rocky Mountain range"
    if not word.touching and bare(word.text, wanted):
        return True
    last = spelling.noun and count == len(spelling.folds) - 1 and len(wanted) > 3
    if last and word.fold.startswith(wanted) and word.fold[len(wanted) :] in _PLURALS:
        return True
    return several and len(wanted) == 1 and count > 0 and word.capital and word.fold.startswith(wanted)


def _means_a_person(said: Sequence[Word], at: int, setting: Setting) -> bool:
    """Whether a surname alone means a person here: after a title or "by", or where the prompt asks who."""
    if setting.who:
        return True
    before = said[at - 1].fold if at else setting.last
    return before in TITLES or before in ("by", "named")


def _alone(said: Sequence[Word], found: Found, spellings: Sequence[Spelling], best: Spelling, setting: Setting) -> int:
    """Where the name ends with the generic words behind it; 0 where it is a piece of another, longer name."""
    if said[found.start].touching or said[found.end - 1].touching:
        return found.end if _stands_in_run(said, found) else 0
    if not _begins_alone(said, found, spellings, setting, common=best.common):
        return 0
    company = best.reduced and fold(best.name.split()[-1]) in LEGAL
    if company and found.end - found.start == 1 and not said[found.start].capital:
        return 0  # a news agency is not the News Corp.
    end = found.end
    while end < len(said) and said[end].fold in GENERIC | {"jr", "sr"} and said[end].spaced:
        end += 1
    if end < len(said) and said[end].text in "-–" and not said[end].spaced:
        return end if said[end + 1 : end + 2] and said[end + 1].fold in TONGUES else 0  # "a German-language magazine"
    if said[end - 1].possessive and end < len(said) and said[end].fold:
        return 0
    if _is_origin(said, found.start, end):
        return 0
    if end + 1 < len(said) and said[end].fold in PARTICLES:
        return 0
    titled = said[found.start].fold in ROYAL or (best.reduced and found.start and said[found.start - 1].fold in ROYAL)
    if titled and end + 1 < len(said) and said[end].fold == "of" and said[end + 1].capital:
        return 0  # "Prince Albert of Monaco" is not Prince Albert
    if end < len(said) and said[end].fold and said[end].spaced and said[end].capital:
        whole = any(w.fold in PARTICLES for w in said[found.start : found.end])
        return end if whole or said[end - 1].fold in LEGAL else 0
    return end


def _is_origin(said: Sequence[Word], start: int, end: int) -> bool:
    """Whether the name of a language only says where a thing or somebody comes from, as in "the Spanish writer"."""
    if end - start != 1 or said[start].fold not in NATIONALITIES or not start or end >= len(said):
        return False
    noun, before = said[end], said[start - 1]
    described = before.fold in _OWN or before.possessive
    return described and bool(noun.fold) and not noun.capital and noun.fold not in TONGUES | PLAIN | APART


def _stands_in_run(said: Sequence[Word], found: Found) -> bool:
    """Whether a name stands by itself in a run of characters without blanks.

    What touches it must be a word that may: "パリです" says パリ, while "東京都" does not say 京都.
    """
    start, end = found.start, found.end
    while start and said[start - 1].touching and not said[start].spaced:
        start -= 1
    while end < len(said) and said[end].touching and not said[end].spaced:
        end += 1
    before = "".join(word.fold for word in said[start : found.start])
    after = "".join(word.fold for word in said[found.end : end])
    name = "".join(word.fold for word in said[found.start : found.end])
    return may_follow(before, name) and may_precede(after)


def _begins_alone(
    said: Sequence[Word], found: Found, spellings: Sequence[Spelling], setting: Setting, *, common: bool
) -> bool:
    at = found.start
    if at == 0:
        return True
    before, first = said[at - 1], said[at]
    if not before.fold:
        return not (before.text in "-–" and not first.spaced)
    known = before.fold in PLAIN or before.fold in NATIONALITIES or before.text[0].isdigit()
    # "their incredible basketball", "a renowned physicist"
    praised = at > 1 and said[at - 2].fold in _OWN and before.fold in PRAISE
    if common and not before.capital and not known and not praised:
        return False  # "table tennis" is not tennis
    if not before.capital or before.possessive:
        return True
    if (at == 1 and before.fold in _OPENERS) or before.fold.endswith(_ORDINAL):
        return True
    if before.fold in ARTICLES:
        return True
    tail = tuple(w.fold for w in said[at : found.end] if w.fold)
    longer = [s for s in spellings if len(s.folds) > len(tail) and s.folds[-len(tail) :] == tail]
    origins = {s.folds[0][:4] for s in longer if s.folds[0] in NATIONALITIES or (common and s.name[0].isupper())}
    if before.fold in setting.names and before.fold[:4] in origins:
        return True  # "the Fiji dollar" is the Fijian one
    if common and first.capital and before.fold not in TITLES:
        return False  # "the French Republic" is no republic in general
    if before.fold in NATIONALITIES and origins and before.fold[:4] not in origins:
        return False  # "Colombian peso" where "Mexican peso" is right
    if before.fold in QUARTERS:
        north = "ern" in before.fold and first.fold not in DIVIDED
        part = north or first.fold in CONTINENTS or (first.fold == "africa" and before.fold != "south")
        return part or before.fold in COMPASS
    short = common and before.initials  # "a NASA astronaut"
    return short or before.fold in TITLES or before.fold in NATIONALITIES or before.fold in GENERIC


_ORDINAL = tuple(f"{digit}{end}" for digit in range(10) for end in ("st", "nd", "rd", "th"))
"""The end of "16th"."""
_OWN = word_set("a an the its his her their")
_OPENERS = word_set("in at on by the a an it its is to from of as for yes no well")


def cut_off(said: Sequence[Word], good: Sequence[str], old: Sequence[str]) -> Found | None:
    """The name that a cut-off answer ends in the middle of; None where there is none, or where it could be several."""
    hits: dict[bool, Found] = {}
    for spelling in [*spellings_of(good, right=True), *spellings_of(old, right=False)]:
        if spelling.surname or spelling.raw or spelling.reduced:
            continue
        for at in range(max(0, len(said) - 2 * len(spelling.folds) - 2), len(said)):
            free = at == 0 or not said[at - 1].capital or said[at - 1].fold in TITLES
            if free and _begins_here(said, at, spelling.folds):
                hits.setdefault(spelling.right, Found(spelling.name, spelling.right, at, len(said)))
                break
    return next(iter(hits.values())) if len(hits) == 1 else None


def _begins_here(said: Sequence[Word], at: int, folds: tuple[str, ...]) -> bool:
    """Whether the words from ``at`` to the end are the beginning of the name, and enough of it."""
    rest = [w.fold for w in said[at:] if w.fold]
    if not rest or len(rest) > len(folds) or not said[at].fold:
        return False
    *whole, part = rest
    if any(not alike(a, b) for a, b in zip(whole, folds, strict=False)) or not folds[len(whole)].startswith(part):
        return False
    if sum(len(word) for word in rest) < 4:
        return False
    if part == folds[len(whole)]:
        return 2 <= len(rest) < len(folds)
    return bool(whole) or 2 * len(part) >= len(folds[0])
