"""What an answer asserts: a right value, a former one, both or neither, and why (pure functions).

A careful reader does not look for a name in an answer but for what the answer says. So the names of the right and the
former values are searched in its first sentence, and the first one counts that nothing in front of it or behind it
takes back: a title, a role, an apposition or a description may stand in front of it; another name, a negation or a
word such as "near" may not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from kbsync.domain.answer_text import (
    LONGEST_ANSWER,
    Clause,
    Word,
    first_clause,
    without_initials,
    word_set,
    words,
)
from kbsync.domain.answer_words import Setting, speaks_of_it, taken_back_after, taken_back_before
from kbsync.domain.dates_and_quantities import Date, Quantity, date_in, dates_named, find_quantity, quantity_named
from kbsync.domain.name_search import Found, cut_off, search

_END = ("", ".", "!", "?", "\n")
"""What may follow a name that is a whole sentence."""


class Said(StrEnum):
    """What an answer asserts."""

    RIGHT = "right"
    FORMER = "former"
    BOTH = "both"
    """A right and a former value, as if both held."""
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an answer asserts, by which name, and why it was read so."""

    said: Said
    matched: str | None
    """The name of the value that is asserted; None where none is."""
    reason: str
    """A short sentence for people."""


def judge(continuation: str, right: Iterable[str], former: Iterable[str] = (), *, prompt: str = "") -> Judgement:
    """Judge what a continuation asserts.

    Args:
        continuation: What the model said after the prompt; its first sentence is the answer.
        right: The names of all values that hold.
        former: The names of all values that held once. A name of both is a right one.
        prompt: What the model was asked. Words of it that the answer repeats are no names, and a "who" in it lets a
            surname stand for a person.
    """
    good = tuple(dict.fromkeys(name for name in right if name.strip()))
    old = tuple(name for name in dict.fromkeys(former) if name.strip() and name not in good)
    if (name := _verbatim(continuation, (*good, *old))) is not None:
        return _verdict(name if name in good else None, None if name in good else name, "the answer is")
    clause = first_clause(continuation)
    if not clause.text:
        return _neither("the answer is empty")
    if clause.question:
        return _neither("the answer is a question")
    if clause.choices:
        return _neither("the answer is a list of choices")
    measured = _judge_date(clause, good, old) or _judge_quantity(clause, good, old)
    return measured or _judge_names(clause, good, old, prompt)


def asserts(continuation: str, names: Iterable[str], *, prompt: str = "") -> bool:
    """Whether a continuation of ``prompt`` asserts a value that has one of these names."""
    return judge(continuation, names, prompt=prompt).said is Said.RIGHT


def _neither(reason: str) -> Judgement:
    return Judgement(Said.NEITHER, None, reason)


def _verbatim(continuation: str, names: Iterable[str]) -> str | None:
    """The name that is the whole first sentence, letter by letter, even if it is "Who Framed Roger Rabbit?"."""
    text = continuation[: 2 * LONGEST_ANSWER].strip()
    for name in names:
        rest = text[len(name) : len(name) + 2]
        if not any(c.isalnum() for c in name):  # of signs only, as "!!!": no word of it is found in a sentence
            if text.startswith(name) and (not rest or rest[0].isspace() or (rest[0] in ".,;" and rest[0] != name[-1])):
                return name
            continue
        if text[: len(name)].casefold() == name.casefold() and rest[:1] in _END and rest[1:].strip() == "":
            return name
    return None


def _verdict(good: str | None, old: str | None, how: str) -> Judgement:
    if good and old:
        return Judgement(Said.BOTH, good, f"{how} {good!r} and the former {old!r}")
    if good:
        return Judgement(Said.RIGHT, good, f"{how} {good!r}")
    assert old is not None
    return Judgement(Said.FORMER, old, f"{how} the former {old!r}")


_Measure = TypeVar("_Measure", Date, Quantity)


class _Named(NamedTuple, Generic[_Measure]):
    name: str
    measure: _Measure


def _judge_date(clause: Clause, good: Sequence[str], old: Sequence[str]) -> Judgement | None:
    """The judgement where all names are dates; None where they are not."""
    read = dates_named([*good, *old]) if good else None
    if read is None:
        return None
    language, dates = read
    right = [_Named(name, date) for name, date in zip(good, dates, strict=False)]
    former = [_Named(name, date) for name, date in zip(old, dates[len(good) :], strict=True)]
    found = date_in(clause.text, language)
    if found is None:
        return _neither("the answer holds no date")
    said, start, end = found
    if not clause.whole and end == len(clause.text) and not any(said.fixes(n.measure) for n in right + former):
        begun = [n.name for n in right if said.begins(n.measure)], [n.name for n in former if said.begins(n.measure)]
        if bool(begun[0]) == bool(begun[1]):
            return _neither("the date is cut off")
        return _verdict(next(iter(begun[0]), None), next(iter(begun[1]), None), "the answer is cut off in")
    if _ranges(clause.text, start, end):
        return _neither("the answer gives a span of time")
    hit = next((n.name for n in right if said.fixes(n.measure)), None)
    past = next((n.name for n in former if said.fixes(n.measure)), None)
    if hit or past:
        return _verdict(hit, past, "the date is")
    coarse = any(n.measure.year == said.year for n in right)
    return _neither("the date is less precise than the right one" if coarse else "the date is another one")


def _judge_quantity(clause: Clause, good: Sequence[str], old: Sequence[str]) -> Judgement | None:
    """The judgement where all names are quantities; None where they are not."""
    right = [_Named(name, number) for name in good if (number := quantity_named(name))]
    former = [_Named(name, number) for name in old if (number := quantity_named(name))]
    if not right or len(right) + len(former) < len(good) + len(old):
        return None
    found = find_quantity(clause.text)
    if found is None:
        return _neither("the answer holds no number")
    said, start, end = found
    if _ranges(clause.text, start, end):
        return _neither("the answer gives a range")
    before = [word.fold for word in words(clause.text[:start])]
    if "not" in before:
        return _neither("the number is negated")
    over = bool({"over", "than", "exceeds", "above"} & set(before[-2:]))
    hits, past = _agreeing(said, right, over=over), _agreeing(said, former, over=over)
    if not clause.whole and end == len(clause.text) and not any(n.measure.number == said.number for n in hits + past):
        return _neither("the number is cut off")
    if hits and past:  # one of them may be meant exactly
        exact = [[n for n in named if n.measure.number == said.number] for named in (hits, past)]
        hits, past = exact if any(exact) else (hits, past)
    if hits or past:
        return _verdict(hits[0].name if hits else None, past[0].name if past else None, "the number is")
    return _neither("the number is another one")


def _agreeing(said: Quantity, named: Sequence[_Named[Quantity]], *, over: bool) -> list[_Named[Quantity]]:
    """The names that the number agrees with; where a name has a unit, its bare number does not count by itself."""
    kinds = [n for n in named if n.measure.kind]
    return [n for n in kinds or named if said.agrees(n.measure, over=over)]


def _ranges(text: str, start: int, end: int) -> bool:
    """Whether the number or date from ``start`` to ``end`` begins a range."""
    before, after = words(text[:start])[-1:], words(text[end : end + 12])[:2]
    if before and before[0].fold == "between":
        return True
    return bool(after) and after[0].text in "-–—to" and len(after) > 1 and after[1].text[0].isdigit()


def _judge_names(clause: Clause, good: Sequence[str], old: Sequence[str], prompt: str) -> Judgement:
    said = without_initials(words(clause.text), (*good, *old))
    setting = Setting.of(prompt)
    found = search(said, good, old, setting)
    refused = ""
    for at, hit in enumerate(found):
        if speaks_of_it(said, hit.start, hit.end, setting):
            return _neither(f"it tells something of {hit.name!r} and does not answer")
        reason = _taken_back(said, hit, setting)
        if not reason:
            return _with_neighbours(said, hit, found[at + 1 :])
        refused = refused or f"{hit.name!r} is named, but {reason}"
    if refused:
        return _neither(refused)
    if not clause.whole and (rest := cut_off(said, good, old)):
        if reason := taken_back_before(said, rest.start, setting):
            return _neither(f"{rest.name!r} begins, but {reason}")
        return _verdict(
            rest.name if rest.right else None, None if rest.right else rest.name, "the answer is cut off in"
        )
    return _neither("no right or former name is asserted")


def _taken_back(said: Sequence[Word], hit: Found, setting: Setting) -> str:
    """Why the words around a name take it back; English ones, so not around one in a script without blanks."""
    if said[hit.start].touching:
        return "too much stands before it" if hit.start > _LONGEST_LEAD else ""
    return taken_back_before(said, hit.start, setting) or taken_back_after(said, hit.start, hit.end, setting)


_LONGEST_LEAD = 40
"""Characters that may stand before a name in a script without blanks."""
_JOINING = word_set("and or the a an as well also both either")


def _with_neighbours(said: Sequence[Word], hit: Found, others: Sequence[Found]) -> Judgement:
    """The judgement on an asserted name, with the names that are joined to it by "and", "or" or a comma."""
    end, choice, joined = hit.end, False, [hit]
    for other in others:
        between = said[end : other.start]
        if not between or any(w.fold not in _JOINING if w.fold else w.text not in ",/" for w in between):
            break
        choice = choice or any(w.fold == "or" for w in between)
        joined.append(other)
        end = other.end
    after = said[end : end + 2]
    unknown = len(after) == 2 and after[0].fold == "or" and after[1].capital
    right = next((f.name for f in joined if f.right), None)
    former = next((f.name for f in joined if not f.right), None)
    if unknown:
        return _neither(f"the answer leaves the choice between {hit.name!r} and another name")
    return _verdict(right, former, "the answer says")
