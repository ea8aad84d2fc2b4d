from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.conflicts import RightFact
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import (
    Change,
    EditPlan,
    EditRequest,
    FactNames,
    Guard,
    make_plan,
)
from kbsync.domain.statement import ItemId, PropertyId


def request(item: int, target: str, subject: str = "", value: str = "") -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{item}"), PropertyId("P6")),
        subject=subject or f"Country {item}",
        template="The head of government of {} is",
        target=target,
        value_hash=value or f"hash of {target}",
        revision=1,
        base_answer=" nobody",
    )


def plan(wanted: list[EditRequest], active: list[EditRequest], **more: object) -> EditPlan:
    return make_plan(
        wanted,
        {r.key: r for r in active},
        base_fingerprint="base",
        recipe_fingerprint="recipe",
        predecessor=0,
        **more,  # type: ignore[arg-type]
    )


def test_every_change_is_named() -> None:
    made = plan(
        [request(1, "A"), request(2, "B2"), request(3, "C")], [request(2, "B"), request(3, "C"), request(4, "D")]
    )
    assert {e.key.subject: e.change for e in made.entries} == {
        "Q1": Change.ADD,
        "Q2": Change.CHANGE,
        "Q3": Change.KEEP,
        "Q4": Change.RETRACT,
    }
    assert [r.target for r in made.requests] == ["A", "B2", "C"]
    assert len(made.changes) == 3


def test_the_same_prompt_with_two_answers_is_refused_by_name() -> None:
    made = plan([request(1, "A", subject="Georgia"), request(2, "B", subject="georgia"), request(3, "C")], [])
    assert [r.target for r in made.requests] == ["C"]
    assert {str(r.key): r.reason for r in made.refused} == {
        "Q1 P6": "same prompt, another answer: Q2 P6 says 'B'",
        "Q2 P6": "same prompt, another answer: Q1 P6 says 'A'",
    }


def test_of_two_with_the_same_prompt_the_one_that_is_held_stays() -> None:
    held, newcomer = request(1, "A", subject="Georgia"), request(2, "B", subject="Georgia")
    made = plan([held, newcomer], [held])
    assert (made.requests, made.changes) == ((held,), ())
    assert [(r.key.subject, r.reason) for r in made.refused] == [("Q2", "same prompt, another answer: Q1 P6 says 'A'")]


def test_a_held_fact_whose_new_name_is_taken_stays_under_its_old_one() -> None:
    taken, renamed = request(1, "A", subject="France"), request(2, "B", subject="Germany")
    made = plan([taken, replace(renamed, subject="France")], [taken, renamed], names=named(France="B"))
    assert (made.requests, made.changes) == ((taken, renamed), ())
    assert [r.key.subject for r in made.refused] == ["Q2"]


def test_a_newcomer_with_the_prompt_of_a_fact_that_the_base_has_right_is_refused_by_name() -> None:
    right = RightFact(
        key=request(9, "").key,
        subject="Georgia",
        templates=("The head of government of {} is",),
        names=("Irakli", "Kobakhidze"),
    )
    made = plan([request(1, "Brian", subject="Georgia"), request(2, "B")], [], right=[right])
    assert [r.target for r in made.requests] == ["B"]
    assert [(r.key.subject, r.reason) for r in made.refused] == [
        ("Q1", "same prompt as Q9 P6, which the base has right: 'Irakli'")
    ]
    same = plan([request(1, "kobakhidze", subject="Georgia")], [], right=[right])
    assert (len(same.requests), same.refused) == (1, ())


def test_what_is_no_name_of_its_value_any_more_is_edited_anew() -> None:
    old = request(1, "Mickey Mouse", value="Q77")
    right = replace(old, target="Anna Berg")
    assert plan([right], [old], names=named(**{"Country 1": "Anna Berg"})).requests == (right,)
    assert plan([right], [old], names=named(**{"Country 1": "Mickey Mouse"})).requests == (old,)
    assert plan([right], [old], names=named(Country="Mickey Mouse")).requests == (old,)
    renamed = replace(right, subject="Land")
    assert plan([renamed], [old], names=named(Land="Mickey Mouse")).requests == (renamed,)


def named(**names: str) -> dict[FactKey, FactNames]:
    """The names of the facts about Q1 and Q2: the same for both, a subject and its answer."""
    ((subject, answer),) = names.items()
    return {request(n, "").key: FactNames((subject,), (answer, "another name")) for n in (1, 2)}


def test_a_quarantined_fact_is_left_out_with_its_reason() -> None:
    made = plan([request(1, "A")], [request(1, "A0")], quarantined={request(1, "A").key: "broke its neighbours"})
    assert made.requests == ()
    assert made.entries[0].change is Change.RETRACT
    assert made.entries[0].reason == "quarantined: broke its neighbours"


def test_a_new_label_for_the_same_value_changes_nothing() -> None:
    old = request(1, "Burma", value="Q836")
    made = plan([replace(old, target="Myanmar", subject="New name")], [old])
    assert made.changes == ()
    assert made.requests == (old,)


@given(st.permutations([request(i, t) for i, t in enumerate("ABCDE", start=1)]))
def test_order_never_matters(requests: list[EditRequest]) -> None:
    made = plan(requests, [])
    assert made == plan(sorted(requests, key=lambda r: r.key), [])


def test_the_build_hash_is_that_of_base_facts_and_recipe_alone() -> None:
    first = plan([request(1, "A"), request(2, "B")], [])
    later = plan([request(1, "A"), replace(request(2, "B"), revision=99)], [request(1, "A"), request(3, "C")])
    assert first.build_hash == later.build_hash
    assert first.build_hash != plan([request(1, "A")], []).build_hash
    assert first.build_hash != replace(first, recipe_fingerprint="other").build_hash


def test_of_too_many_facts_the_active_ones_stay() -> None:
    made = plan([request(1, "A"), request(2, "B"), request(3, "C")], [request(3, "C")], limit=2)
    assert [r.target for r in made.requests] == ["A", "C"]
    assert [(r.key.subject, r.reason) for r in made.refused] == [("Q2", "over the limit of 2 facts in one version")]


def guard(item: int) -> Guard:
    return Guard(key=FactKey(ItemId(f"Q{item}"), PropertyId("P6")), subject=f"Country {item}", template="{} is led by")


def test_guards_are_part_of_what_a_version_is() -> None:
    bare, one = plan([request(1, "A")], []), plan([request(1, "A")], [], guards=(guard(1),))
    assert len({bare.build_hash, one.build_hash, plan([request(1, "A")], [], guards=(guard(2),)).build_hash}) == 3
