"""In which words a name may be said: without its article, as initials, as a surname (pure functions)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kbsync.domain.answer_text import fold, words
from kbsync.domain.answer_vocabulary import ARTICLES, DEMONYMS, DROPPED, GENERIC, PLACES, TITLES
from kbsync.domain.scripts import visible

_LONGEST_NAME = 200
_CONTINENTAL = {"america": "american", "asia": "asian", "africa": "african", "europe": "european"}
_POLAR = ("antarctic", "antarctica")


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to say a name: its folded words."""

    name: str
    right: bool
    folds: tuple[str, ...]
    raw: str = ""
    """Compared as written, where the name is too short to be told from a word otherwise: "He", "US"."""
    reduced: bool = False
    """Whether words of the name are left out."""
    common: bool = False
    """Whether the name is a common noun, which begins with a small letter."""
    noun: bool = False
    """Whether its last word is a common noun, which may be said in the plural."""
    surname: bool = False
    """Whether this is the last word of a longer name, which counts for a person only."""


def spellings_of(names: Sequence[str], *, right: bool) -> Iterator[Spelling]:
    """All ways to say the names of right (or former) values."""
    for name in names:
        written = [w for w in words(visible(name[:_LONGEST_NAME])) if w.fold]
        folds = tuple(w.fold for w in written)
        if not folds:
            continue
        if any(w.touching for w in written):
            yield Spelling(name, right, folds)
            continue
        if len(folds) == 1 and len(folds[0]) <= 3:
            yield Spelling(name, right, folds, raw=written[0].text)
            continue
        for variant in _variants(folds, name):
            common, noun = not written[0].capital, not written[-1].capital
            raw = written[0].text if variant == folds[:1] and len(folds[0]) <= 3 else ""
            yield Spelling(name, right, variant, raw=raw, reduced=variant != folds, common=common, noun=noun)
        capitals = [w for w in written if w.capital and w.text.isalpha()]
        if len(capitals) >= 3:
            letters = "".join(w.text[0] for w in capitals)
            yield Spelling(name, right, (fold(letters),), raw=letters)
        last = written[-1]
        if len(folds) > 1 and last in capitals and len(last.fold) >= 4 and last.fold not in GENERIC | PLACES:
            yield Spelling(name, right, (last.fold,), reduced=True, surname=True)


def _variants(folds: tuple[str, ...], name: str) -> list[tuple[str, ...]]:
    """The name; without what is in brackets, its article, title, middle names, and a generic word at its end."""
    made = [folds]
    if "(" in name[1:]:
        made.append(tuple(w.fold for w in words(name[: name.index("(", 1)]) if w.fold))
    head, comma, _ = name.partition(", ")
    if comma and "and" not in folds and len(head) >= 4:
        made.append(tuple(w.fold for w in words(head) if w.fold))
    if folds[0] in _POLAR and len(folds) == 1:
        made += [(other,) for other in _POLAR]
    if folds[-1] in _CONTINENTAL:
        made.append((*folds[:-1], _CONTINENTAL[folds[-1]], "continent"))
    if 3 <= len(folds) <= 4 and folds[-1] not in GENERIC and not {"of", "and", "the", "for"} & set(folds):
        made.append((folds[0], folds[-1]))
    if len(folds) == 2 and min(map(len, folds)) >= 3:
        made.append(("".join(folds),))  # "drumkit" is a drum kit
    made += _of_a_country(folds)
    for variant in tuple(made):
        rest = variant
        if rest and rest[0] in ARTICLES and len(rest) > 1 and (rest[0] in ("the", "a", "an") or len(rest[1]) > 7):
            rest = rest[1:]
            made.append(rest)
        while len(rest) > 1 and rest[-1] in (DROPPED if len(rest) == 2 else GENERIC | DROPPED):
            rest = rest[:-1]
            made.append(rest)
        if len(rest) > 2 and rest[0] in TITLES and rest[1] != "of":
            made.append(rest[1:])
    if name[:1].islower():
        made += [(*variant[:-1], agent) for variant in tuple(made) if variant for agent in _agents(variant[-1])]
    return [variant for variant in dict.fromkeys(made) if len(variant) > 1 or (variant and len(variant[0]) > 2)]


def _of_a_country(folds: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The name with the country as an adjective in front of it, or the other way round."""
    made, text = [], " ".join(folds)
    for country, adjective in DEMONYMS.items():
        if text.endswith(end := f" of {country}"):
            made.append((*adjective.split(), *text.removesuffix(end).split()))
        if text.startswith(begin := adjective + " ") and len(folds) > 1 + adjective.count(" ") + 1:
            made.append((*text.removeprefix(begin).split(), "of", *country.split()))
    return made


def _agents(noun: str) -> list[str]:
    """What somebody is called who does it: "boxing" and "boxer", "football" and "footballer", "piano" and "pianist"."""
    stem = noun.removesuffix("ing").removesuffix("ics").removesuffix("o")
    ends = {"ing": ("er", "ist"), "ics": ("", "icist", "ician", "ist"), "": ("er", "ist")}
    kind = next(end for end in ("ing", "ics", "") if noun.endswith(end))
    return [stem + end for end in ends[kind]] if len(stem) > 2 else []
