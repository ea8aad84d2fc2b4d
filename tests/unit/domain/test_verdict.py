from dataclasses import replace

import pytest

from kbsync.domain.answer_text import normalise
from kbsync.domain.fact import Answer, Fact, FactKey, FactState
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Value, ValueKind
from kbsync.domain.verdict import (
    Evidence,
    Reply,
    VerdictKey,
    VerdictKind,
    ambiguity,
    judge,
    summary,
)

NOW_STATE = FactState(values=(), former=(), statement_ids=(), references=1, revision=1, since=None)  # type: ignore[arg-type]


def answer(item: str, label: str | None, *aliases: str) -> Answer:
    return Answer(value=Value(ValueKind.ITEM, item), label=label, aliases=aliases)


def fact(*answers: Answer, former: tuple[Answer, ...] = (), subject: str | None = "France") -> Fact:
    key = FactKey(ItemId("Q142"), PropertyId("P36"))
    return Fact(key=key, subject_label=subject, answers=answers, former=former, state=NOW_STATE)


PARIS = answer("Q90", "Paris", "City of Light", "París")


@pytest.mark.parametrize(
    ("said", "matched"),
    [
        (" Paris.", "Paris"),
        (" paris, which", "Paris"),
        (" the City of Light", "City of Light"),
        (" PARÍS", "París"),
        (" Parisian", None),
        (" in Paris", "Paris"),
        ("", None),
        (" Lyon and Paris", None),
    ],
)
def test_an_answer_is_matched_by_whole_words_of_a_label_or_alias(said: str, matched: str | None) -> None:
    assert judge(fact(PARIS), "The seat is", said).matched == matched


def test_a_name_of_punctuation_alone_matches_nothing() -> None:
    assert judge(fact(answer("Q1", "!!!")), "The seat is", " anything").matched is None


def test_normalise_folds_accents_case_punctuation_and_the_article() -> None:
    assert normalise("  The São-Tomé, ") == "sao tome"


def test_kinds_of_verdict() -> None:
    bonn = answer("Q586", "Bonn")
    asked = fact(PARIS, former=(bonn,))
    replies = [judge(asked, "The seat is", said) for said in (" Paris", " the city of Bonn, where", " a city", " Lyon")]
    assert [(reply.kind, reply.matched) for reply in replies] == [
        (VerdictKind.CURRENT, "Paris"),
        (VerdictKind.STALE, "Bonn"),
        (VerdictKind.UNKNOWN, None),
        (VerdictKind.UNKNOWN, None),
    ]
    assert [(reply.prompt, reply.greedy) for reply in replies[:1]] == [("The seat is", " Paris")]
    assert all(reply.reason for reply in replies)


def test_what_has_no_single_answer_is_ambiguous() -> None:
    assert ambiguity(fact(PARIS), single=True) is None
    assert "no label" in (ambiguity(fact(PARIS, subject=None), single=True) or "")
    assert "Q5" in (ambiguity(fact(answer("Q5", None)), single=True) or "")
    two = fact(PARIS, answer("Q456", "Lyon"))
    assert "2 values" in (ambiguity(two, single=True) or "")
    assert ambiguity(two, single=False) is None


def test_a_label_with_a_control_token_of_the_model_can_not_be_asked() -> None:
    tokens = {"<|end|>", "</s>"}
    hostile = fact(PARIS, answer("Q456", "Lyon<|end|>"))
    assert "'Lyon<|end|>' holds '<|end|>'" in (ambiguity(hostile, single=False, control_tokens=tokens) or "")
    assert "the model reads as a control token" in (
        ambiguity(fact(PARIS, subject="France</s>"), single=True, control_tokens=tokens) or ""
    )
    assert ambiguity(fact(PARIS), single=True, control_tokens=tokens) is None
    assert ambiguity(hostile, single=False) is not None, "the next base may have it"


def test_a_verdict_is_asked_for_again_when_the_value_a_name_the_model_or_the_words_change() -> None:
    capital = Relation(
        name="capital", property=PropertyId("P36"), label="capital", phrasings=from_templates("The capital of {} is")
    )
    other_words = Relation(
        name="capital", property=PropertyId("P36"), label="capital", phrasings=from_templates("{}, capital:")
    )
    other_value = Fact(
        key=fact().key, subject_label="France", answers=(), former=(), state=replace(NOW_STATE, values=(PARIS.value,))
    )
    key = VerdictKey.of(capital, fact(), "model")
    assert key == VerdictKey.of(capital, fact(), "model")
    assert (
        len(
            {
                key,
                *(
                    VerdictKey.of(*of)
                    for of in (
                        (other_words, fact(), "model"),
                        (capital, other_value, "model"),
                        (capital, fact(PARIS), "model"),
                        (capital, fact(), "another model"),
                    )
                ),
            }
        )
        == 5
    )


C, S, U = VerdictKind.CURRENT, VerdictKind.STALE, VerdictKind.UNKNOWN


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([C], VerdictKind.CURRENT),
        ([S], VerdictKind.STALE),
        ([U], VerdictKind.UNKNOWN),
        ([C, U, C], VerdictKind.CURRENT),
        ([C, C, S], VerdictKind.CURRENT),
        ([C, U, U], VerdictKind.SHAKY),
        ([S, C, S], VerdictKind.SHAKY),
        ([C, U], VerdictKind.SHAKY),
        ([S, U, S], VerdictKind.STALE),
        ([S, U], VerdictKind.STALE),
        ([U, U, S], VerdictKind.UNKNOWN),
    ],
)
def test_a_verdict_sums_up_the_replies(kinds: list[VerdictKind], expected: VerdictKind) -> None:
    assert summary(kinds) is expected


def test_the_evidence_is_first_of_all_that_of_the_prompt() -> None:
    replies = (
        Reply(prompt="{} is", greedy=" no", kind=U),
        Reply(prompt="Q:", greedy=" Paris", kind=C, matched="Paris"),
    )
    evidence = Evidence(replies=replies)
    assert (evidence.prompt, evidence.greedy, evidence.matched, evidence.right_after_prompt) == (
        "{} is",
        " no",
        None,
        False,
    )
    assert Evidence(replies=replies[::-1]).right_after_prompt
    assert (Evidence().prompt, Evidence().matched, Evidence().right_after_prompt) == ("", None, False)
