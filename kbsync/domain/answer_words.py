"""How the words around a name decide whether an answer asserts it (pure functions)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.answer_text import Word, alike, words
from kbsync.domain.answer_vocabulary import (
    APART,
    AROUND_TOWNS,
    ARTICLES,
    ASIDE,
    ASKING,
    BEING,
    CALLED,
    CITIZENS,
    DEEDS,
    DIVISIONS,
    FUNCTION,
    JOINED,
    KINDS,
    LEADS,
    NATIONALITIES,
    NATIONALITY,
    NEGATIONS,
    NEGATIONS_ELSEWHERE,
    OF_ITS_KIND,
    ONLY,
    OPERATES,
    PLAYING,
    QUARTERS,
    RANKS,
    REFERS,
    SIGNS,
    TITLES,
    VERBS,
    WHERE,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the prompt tells about the answer."""

    folds: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    last: str = ""
    """The last word of the prompt, folded."""
    who: bool = False
    """Whether it asks for a person."""
    place: bool = False
    """Whether it asks where something is, so that "Ontario, Canada" says Canada."""
    town: bool = False
    """Whether it asks for a town."""
    question: bool = False
    """Whether it is a question, so that the answer is a sentence of its own and not the rest of the prompt's."""
    names: frozenset[str] = frozenset()
    """The words of the prompt that are written as names are, folded."""

    @classmethod
    def of(cls, prompt: str) -> Setting:
        """Read a prompt, its end if it is long."""
        read = [word for word in words(prompt[-600:]) if word.fold]
        folds = [word.fold for word in read]
        last = folds[-1] if folds else ""
        place = last == "in" or not WHERE.isdisjoint(folds)
        town = not {"town", "city"}.isdisjoint(folds) and {"country", "nation", "continent"}.isdisjoint(folds)
        names = frozenset(word.fold for word in read if word.capital) - ASKING
        question = prompt.rstrip().endswith(("?", "A:", "Answer:"))
        return cls(tuple(folds), frozenset(folds), last, "who" in folds, place, town, question, names)

    def holds(self, folds: Sequence[str]) -> bool:
        """Whether the prompt holds these words one after the other."""
        size = len(folds)
        return any(list(self.folds[at : at + size]) == list(folds) for at in range(len(self.folds) - size + 1))


def taken_back_before(said: Sequence[Word], start: int, setting: Setting) -> str:
    """Why the name that begins at ``start`` is not what the answer asserts; empty where nothing speaks against it."""
    before = said[:start]
    if not before:
        return ""
    own = before[_lead(before, setting) :]
    if own and own[-1].initials and start < len(said) and not said[start].capital:
        own = own[:-1]  # "an NFL quarterback"
    pairs = list(itertools.pairwise(before))
    denied = NEGATIONS | NEGATIONS_ELSEWHERE
    negation = next((w.text for w, then in [*pairs, (before[-1], None)] if w.fold in denied and not _hyphen(then)), "")
    if negation and not any(a.fold in denied and b.fold in ONLY for a, b in pairs):
        return f"after {negation!r}"
    # "with the symbol Ca" names the symbol that is asked for
    named = own and own[-1].fold in (setting.words - FUNCTION) | SIGNS
    known = setting.words | {"with", "to"} if named else setting.words
    if apart := next(
        (w.text for at, w in enumerate(own) if w.fold in APART - known and not _goes_on(own, at, setting)), ""
    ):
        return f"after {apart!r}"
    kinds = zip(before, before[1:], before[2:], strict=False)
    own_kind = any(a.fold in ("a", "an") and b.fold in setting.words and c.fold in OF_ITS_KIND for a, b, c in kinds)
    if own_kind and not before[0].capital and not (setting.place and "part" in [w.fold for w in before[-3:]]):
        return "it describes what is asked for instead of naming it"
    if event := _another_event(before, setting):
        return event
    if own and own[0].fold.endswith("ing") and not own[0].capital and own[0].fold not in PLAYING | setting.words:
        return f"the answer goes on with {own[0].text!r}"
    if len(own) > 16:
        return "too much stands before it"
    return _other_name(own, setting) or _belongs(own, setting)


def _goes_on(own: Sequence[Word], at: int, setting: Setting) -> bool:
    """Whether a word that leads elsewhere does not: in "none other than X", and in "the club that plays in X" where the
    prompt asks what somebody plays in."""
    if own[at].fold == "than":
        return at > 0 and own[at - 1].fold == "other"
    verb = own[at + 1].fold if own[at].fold in ("that", "which", "who") and at + 1 < len(own) else ""
    stems = {verb, verb.removesuffix("s"), verb.removesuffix("ies") + "y"}
    if verb in OPERATES:
        return True
    return len(verb) > 2 and not stems.isdisjoint(setting.words - FUNCTION - LEADS)


def _hyphen(word: Word | None) -> bool:
    """Whether a word is the hyphen of "non-profit"."""
    return word is not None and word.text == "-" and not word.spaced


def _lead(before: Sequence[Word], setting: Setting) -> int:
    """Where the phrase begins that the name belongs to: after the last "is", "by" and so on.

    What stands before that must hold no other name than those of the prompt.
    """
    for place in range(len(before), 0, -1):
        word, last = before[place - 1], before[place - 2].fold if place > 1 else ""
        if word.fold == "to" and last in REFERS:
            return place
        if word.fold == "as" and [w.fold for w in before[max(0, place - 3) : place - 1]] == ["referred", "to"]:
            return place
        if word.fold == "by" and last in DEEDS and any(w.fold in ("is", "was") for w in before[: place - 2]):
            return place
        if word.text != ":" and (word.fold not in LEADS or word.capital):
            continue
        if word.fold in ("now", "currently", "today"):
            return place
        head = before[: place - 1]
        if any(_aside(head, i, setting) for i in range(len(head))):
            continue
        known = setting.words | TITLES | RANKS | CALLED | NATIONALITIES
        if all(not w.capital or w.fold in known or i == 0 for i, w in enumerate(head) if w.fold):
            return place
    return 0


def _another_event(before: Sequence[Word], setting: Setting) -> str:
    """Says so where the answer tells of a birth and was asked for a death, or the other way round."""
    told = [w.fold for w in before if w.fold in ("born", "died")]
    if not told:
        return ""
    asked = (
        "died" if not setting.words.isdisjoint(("die", "died", "death")) else "born" if "born" in setting.words else ""
    )
    return f"it says where somebody was {told[-1]!r}" if asked and told[-1] != asked else ""


def _aside(head: Sequence[Word], place: int, setting: Setting) -> bool:
    """Whether a preposition at ``place`` leads away from what is asked, so that no answer begins after it."""
    if head[place].fold not in ASIDE:
        return False
    rest = [w.fold for w in head[place + 1 :] if w.fold and w.fold not in ARTICLES]
    return not rest or rest[0] not in setting.words


def _other_name(own: Sequence[Word], setting: Setting) -> str:
    """The other name that comes first; empty where what is capital is a title, an origin or describes the name."""
    if setting.place and [w.fold for w in own[-1:]] == ["in"]:
        return ""  # "the Rubens Museum in Antwerp" says where
    for place, word in enumerate(own):
        origin = word.fold in NATIONALITIES and [w.text for w in own[place + 1 : place + 2]] not in ([","], ["and"])
        if not word.capital or not word.fold or origin or word.fold in setting.words | TITLES | QUARTERS:
            continue
        if place == 0 and word.fold in FUNCTION:
            continue
        rest = own[place + 1 :]
        if word.fold in CALLED and [w.fold for w in rest] in (["of"], ["of", "the"]):  # "the Republic of Croatia"
            continue
        if rest and rest[0].text in "'’":  # "the Yankees' shortstop"
            continue
        if word.text[0].isdigit() or (word.fold in RANKS and rest and rest[0].fold in TITLES):
            continue
        commas = sum(w.text == "," for w in own)
        listed = setting.place and own[-1].text == "," and (commas == 1 or own[0].fold in setting.words)
        listed = listed and own[0].fold not in NATIONALITIES
        if [w.fold for w in own[-1:]] == ["by"] and _other_deed(rest, setting):
            return f"{own[-2].text!r} is not what is asked for"
        role = listed or any(w.fold and not w.capital and w.fold not in FUNCTION and len(w.fold) > 2 for w in rest)
        titled = own[-1].text == "," and any(w.fold in TITLES for w in own[:place])
        if not (role or titled):
            return f"another name comes first, {word.text!r}"
    if len(own) > 1 and own[-1].text == "," and not any(w.fold and w.fold not in FUNCTION for w in own):
        return "it does not begin the answer"
    if own and own[-1].fold in ("and", "or") and any(w.capital for w in own):
        return "another name comes first"
    return ""


def _other_deed(rest: Sequence[Word], setting: Setting) -> bool:
    """Whether an answer that ends with "and produced by" goes on with something that is not asked for."""
    joined = [w.fold for w in rest[-3:-2]] in (["and"], ["but"])
    return joined and rest[-2].fold not in setting.words


def _belongs(own: Sequence[Word], setting: Setting) -> str:
    """The thing that is only of the named one, as in "the resignation of X"; empty where it is the named one itself."""
    commas = [at for at, w in enumerate(own) if w.text == ","]
    if commas and commas[-1] == len(own) - 1:
        return ""
    own = own[commas[-1] + 1 :] if commas else own
    kinds = KINDS | setting.words | (DIVISIONS if setting.place else frozenset())
    kinds |= CITIZENS if not NATIONALITY.isdisjoint(setting.words) else frozenset()
    for noun, word in itertools.pairwise(own):
        within = noun.fold in QUARTERS and "the" in [w.fold for w in own]
        if word.fold == "of" and noun.fold in AROUND_TOWNS and setting.town:
            return f"a {noun.text} is no town"
        if word.fold == "of" and not within and noun.fold not in kinds:
            return f"only as that which {noun.text!r} is of"
    return ""


def speaks_of_it(said: Sequence[Word], start: int, end: int, setting: Setting) -> bool:
    """Whether the answer to a question tells something of the name from ``start`` to ``end`` instead of answering.

    "The United States is a nation in the west" does not say of which nation Miami is a part. What is said of the name
    answers only if it holds a name of the question, or "the" and another word of it ("Paris is the capital").
    """
    if not setting.question or any(w.fold in BEING | LEADS for w in said[:start]):
        return False
    after = [w.fold for w in said[end:] if w.fold]
    if not after or said[end].fold not in BEING:
        return False
    if any(alike(word, name) for word in after for name in setting.names):
        return False
    asked, content = False, setting.words - FUNCTION - ASKING
    for word in after:
        if asked and word in content:
            return False
        most = word == "most" or word.endswith("est")  # "the largest city": of many, and not the one that is asked for
        asked = word in ("the", "its", "their") or (asked and not most and word not in {"a", "an"} | BEING)
    return True


def taken_back_after(said: Sequence[Word], start: int, end: int, setting: Setting) -> str:
    """Why what follows the name from ``start`` to ``end`` takes it back; empty where nothing does."""
    after = [w.fold for w in said[end : end + 4] if w.fold or w.text == ","]
    before = [w.fold for w in said[:start] if w.fold and w.fold not in ARTICLES]
    if after[:1] in (["is"], ["was"]) and before[-1:] == ["of"] and not {*before[-2:-1]} <= CALLED | LEADS:
        return f"what the answer speaks of is the {before[-2]!r} of it"
    if len(after) > 1 and after[0] in VERBS and after[1] in ("not", "no", "never"):
        return f"before {after[0] + ' ' + after[1]!r}"
    denied = [word for word in after[:2] if word in NEGATIONS_ELSEWHERE]
    if denied and after[0] != "," and after[0] not in JOINED:
        return f"before {denied[0]!r}"
    if after and after[0] in ("isnt", "wasnt", "arent", "suburb", "suburbs", "people", "peoples", "style", "styles"):
        return f"before {after[0]!r}"
    own_team = "sport" in setting.words and any(w.fold in setting.names for w in said[:start])
    if after and after[0] in ("team", "club") and not own_team:
        return f"before {after[0]!r}"
    if "by" in after and ("succeeded" in after or "replaced" in after):
        return "somebody else came after"
    return ""
