"""Which questions are asked, and what stands before them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbsync.domain.fact import Answer, Fact, FactKey, FactState
from kbsync.domain.fact_sentence import answerable, sentence_of
from kbsync.domain.phrasing import Form, Frames, Phrasing, Use
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Value, ValueKind
from kbsync.research.alternative_prompts import (
    AskedFact,
    Way,
    Weights,
    ask,
    by_form,
    drawn,
    rewrite_of,
)

KEY = FactKey(ItemId("Q1"), PropertyId("P36"))
PARIS, LUTETIA = Value(ValueKind.ITEM, "Q90"), Value(ValueKind.ITEM, "Q91")
FACT = Fact(
    key=KEY,
    subject_label="France",
    answers=(Answer(value=PARIS, label="Paris", aliases=("City of Light",)), Answer(value=LUTETIA, label="Lutetia")),
    former=(),
    state=FactState(
        values=(PARIS, LUTETIA),
        former=(),
        statement_ids=(),
        references=1,
        revision=1,
        since=datetime(2026, 1, 1, tzinfo=UTC),
    ),
)
RELATION = Relation(
    name="capital",
    property=KEY.property,
    label="capital",
    phrasings=(
        Phrasing("What is the capital of {}?", Form.QUESTION),
        Phrasing("The capital of {} is"),
        Phrasing("{} is governed from", use=Use.HELD_OUT),
        Phrasing("The capital city of {} is called", use=Use.HELD_OUT),
        Phrasing("Which city is the capital of {}?", Form.QUESTION, Use.HELD_OUT),
        Phrasing("I am off to {}. What is its capital?", Form.DIALOGUE, Use.HELD_OUT),
    ),
)
TOLD = "The capital of France is Paris."


def asked(form: Form, relation: Relation = RELATION) -> AskedFact:
    return next(q for q in ask(relation, FACT, 1, 0) if q.form is form)


def test_each_form_is_asked_in_held_out_words_that_the_seed_draws() -> None:
    questions = ask(RELATION, FACT, 1, 0)
    assert [q.form for q in questions] == list(Form)
    assert {n for q in questions for n in q.names} == {"Paris", "City of Light", "Lutetia"}
    assert asked(Form.QUESTION).prompt == "Question: Which city is the capital of France?\nAnswer:"
    assert len(ask(RELATION, FACT, 5, 0)) == 4, "two statements, a question and a turn"
    assert {ask(RELATION, FACT, 1, seed)[0].text for seed in range(20)} == {
        "France is governed from",
        "The capital city of France is called",
    }


def test_a_fact_as_a_sentence_is_the_first_edit_statement_with_its_answer() -> None:
    assert sentence_of(RELATION, FACT) == TOLD


def test_context_stands_before_a_plain_prompt_and_inside_the_turn_of_a_chat_model() -> None:
    assert asked(Form.QUESTION).after([TOLD]) == f"{TOLD}\nQuestion: Which city is the capital of France?\nAnswer:"
    assert asked(Form.DIALOGUE).after([TOLD, "So."]) == f"{TOLD} So. I am off to France. What is its capital? It is"
    chat = RELATION.framed(Frames.chat("<user>\n{}<end>\n<model>\n", "<end>"))
    turn = asked(Form.QUESTION, chat)
    assert turn.after([TOLD]) == f"<user>\n{TOLD}\nWhich city is the capital of France?<end>\n<model>\n"
    assert turn.after([]) == turn.prompt == "<user>\nWhich city is the capital of France?<end>\n<model>\n"
    assert asked(Form.STATEMENT, chat).after([TOLD]).startswith(f"{TOLD} ")


def test_a_fact_is_rehearsed_in_its_first_phrasing_with_its_end() -> None:
    rewrite = rewrite_of(RELATION, FACT)
    assert (rewrite.prompt, rewrite.target, rewrite.end) == ("The capital of France is", "Paris", ".")
    assert rewrite.phrasings == ()


@pytest.mark.parametrize(
    "change", [{"subject_label": None}, {"answers": ()}, {"answers": (Answer(value=PARIS, label=None),)}]
)
def test_facts_without_names_are_not_asked(change: dict[str, object]) -> None:
    assert answerable(FACT)
    assert not answerable(replace(FACT, **change))


def test_a_larger_sample_begins_with_a_smaller_one() -> None:
    keys = [FactKey(ItemId(f"Q{n}"), KEY.property) for n in range(9)]
    assert drawn(keys, 5, 1)[:3] == drawn(reversed(keys), 3, 1)
    assert drawn(keys, 9, 1) != drawn(keys, 9, 2)


def test_shares_are_counted_by_form_and_forms_that_are_not_asked_have_none() -> None:
    questions = [asked(Form.STATEMENT), asked(Form.QUESTION), asked(Form.QUESTION)]
    assert by_form(questions, [True, True, False]) == {Form.STATEMENT: 1.0, Form.QUESTION: 0.5}


def test_ways_ask_the_weights_that_they_change() -> None:
    assert {way.value: Weights.of(way).value for way in Way} == {
        "base": "base",
        "edit": "edit",
        "context": "base",
        "retrieved": "base",
        "lora": "lora",
        "edit_context": "edit",
    }
