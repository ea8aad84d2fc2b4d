"""Harder questions about edited facts: which are asked, and when their answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbsync.domain.fact import Answer, Fact, FactKey, FactState
from kbsync.domain.phrasing import from_templates
from kbsync.domain.plan import EditRequest
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Value, ValueKind
from kbsync.stages.evaluate.question import ALIAS, DENIAL, DISTRACTION, NEAR_NAME, REVERSE, STOP, STOP_KNOWN, Question
from kbsync.stages.evaluate.robustness import likeness, robustness_questions, stop_questions
from kbsync.stages.facts import BelievedFacts, WatchedFact

CAPITAL = Relation(
    name="capital",
    property=PropertyId("P36"),
    label="capital",
    phrasings=from_templates("The capital of {} is", "{} is governed from"),
    reverse="{} is the capital of",
)
NAMES = {"Q1": "North Korea", "Q2": "South Korea", "Q3": "Norway", "P": "Pyongyang", "S": "Seoul", "H": "Haeju"}


def answer(item: str) -> Answer:
    return Answer(value=Value(ValueKind.ITEM, item), label=NAMES[item])


def fact(subject: str, capital: str, *former: str, aliases: Sequence[str] = ()) -> Fact:
    values = (Value(ValueKind.ITEM, capital),)
    state = FactState(
        values=values, former=(), statement_ids=(), references=1, revision=1, since=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return Fact(
        key=FactKey(ItemId(subject), PropertyId("P36")),
        subject_label=NAMES[subject],
        subject_aliases=tuple(aliases),
        answers=(answer(capital),),
        former=tuple(map(answer, former)),
        state=state,
    )


NORTH = fact("Q1", "P", "H", aliases=("DPRK", "🇰🇵", "PRK", "north korea"))
SOUTH, NORWAY = fact("Q2", "S"), fact("Q3", "S")


def asked(*facts: Fact, relation: Relation = CAPITAL, request: EditRequest | None = None) -> dict[str, Question]:
    """What is asked about the first of the facts, by group."""
    edited = facts[0]
    believed = BelievedFacts(
        base_fingerprint="base", watched={f.key: WatchedFact(relation, f) for f in facts}, verdicts={}
    )
    written = EditRequest(
        template="The capital of {} is",
        subject=edited.subject_label or "",
        target=edited.answers[0].label or "",
        key=edited.key,
        value_hash=edited.value_hash,
        revision=1,
        base_answer=" the city of Haeju",
    )
    found = robustness_questions(believed, [request or written], 5)
    assert len({q.group for q in found}) == len(found)
    return {q.group: q for q in found}


def test_every_kind_of_question_is_asked_where_the_ledger_allows_it() -> None:
    questions = asked(NORTH, SOUTH)
    assert set(questions) == {DISTRACTION, NEAR_NAME, ALIAS, REVERSE, DENIAL}
    assert questions[ALIAS].prompt == "The capital of DPRK is"
    assert (questions[REVERSE].prompt, questions[REVERSE].names[0]) == ("Pyongyang is the capital of", "North Korea")
    assert "DPRK" in questions[REVERSE].names
    near = questions[NEAR_NAME]
    assert (near.prompt, near.names, near.wrong) == ("The capital of South Korea is", ("Seoul",), ("Pyongyang",))
    distracted = questions[DISTRACTION].prompt
    assert distracted.endswith(" The capital of North Korea is")
    assert "Haeju" in distracted or distracted.count("North Korea") == 2


def test_the_denial_is_judged_beside_the_same_question_about_the_new_answer() -> None:
    denial = asked(NORTH)[DENIAL]
    assert denial.prompt == "Question: Is it true that Haeju is the capital of North Korea?\nAnswer:"
    assert denial.control == "Question: Is it true that Pyongyang is the capital of North Korea?\nAnswer:"
    assert (denial.target, denial.rival) == ("No", "Yes")


def test_nothing_is_asked_that_would_have_two_answers_or_none() -> None:
    assert REVERSE not in asked(SOUTH, NORWAY), "two countries have this capital"
    assert REVERSE not in asked(NORTH, relation=replace(CAPITAL, reverse=""))
    assert NEAR_NAME not in asked(NORTH, NORWAY), "no name is similar"
    assert NEAR_NAME not in asked(SOUTH, fact("Q1", "S")), "the near name has the same answer"
    assert ALIAS not in asked(SOUTH), "it has no other name"
    assert DENIAL not in asked(SOUTH), "nothing held before"


def test_the_english_sentences_are_not_put_to_a_relation_in_another_language() -> None:
    assert set(asked(NORTH, SOUTH, relation=replace(CAPITAL, language="de"))) == {NEAR_NAME, ALIAS, REVERSE}


def test_a_fact_that_is_believed_otherwise_by_now_is_not_asked() -> None:
    written = EditRequest(
        template="The capital of {} is",
        subject="North Korea",
        target="Haeju",
        key=NORTH.key,
        value_hash="x",
        revision=1,
    )
    assert asked(NORTH, SOUTH, request=written) == {}


def test_an_answer_that_has_lost_its_label_is_right_as_it_was_written() -> None:
    nameless = replace(NORTH, answers=(replace(answer("P"), label=None),))
    written = EditRequest(
        template="The capital of {} is",
        subject="North Korea",
        target="Pyongyang",
        key=NORTH.key,
        value_hash=NORTH.value_hash,
        revision=1,
    )
    assert asked(nameless, request=written)[ALIAS].names == ("Pyongyang",)


@pytest.mark.parametrize(
    ("name", "other", "similar"),
    [
        ("North Korea", "South Korea", True),
        ("Guinea", "Equatorial Guinea", True),
        ("Bank of Canada", "Bank of Japan", True),
        ("Slovakia", "Slovenia", True),
        ("France", "Germany", False),
        ("Norway", "Norway", False),
        ("", "Norway", False),
    ],
)
def test_names_are_similar_by_their_last_word_by_all_words_but_one_or_by_their_letters(
    name: str, other: str, similar: bool
) -> None:
    assert bool(likeness(name, other)) is similar
    assert likeness(name, other) == likeness(other, name)


def test_answers_are_read_on_where_their_end_is_looked_at() -> None:
    edited = Question(
        group="edited", key=NORTH.key, prompt="p", names=("Pyongyang",), target="Pyongyang", rival="Haeju",
        base_answer=" Haeju", since=2,
    )  # fmt: skip
    known = Question(group="known_statement", key=SOUTH.key, prompt="q", names=("Seoul",))
    first, second = stop_questions([edited], [known], 9)
    assert (first.group, first.wrong, first.target, first.base_answer, first.since) == (STOP, ("Haeju",), "", None, 0)
    assert (second.group, second.wrong) == (STOP_KNOWN, ())
    assert first.further_tokens == second.further_tokens > 0
    assert stop_questions([edited], [known], 0) == []
