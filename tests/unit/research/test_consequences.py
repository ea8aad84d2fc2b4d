"""What the figures of questions in two hops are made of."""

from __future__ import annotations

from kbsync.research.consequences import BASE, WITH, WITHOUT, Asked, by_relation, figures_of, missed


def asked(relation: str, **answers: str) -> Asked:
    return Asked(relation=relation, prompt="The capital of the country of Lyon is", names=("Paris",), answers=answers)


EDITED = [
    asked("country/capital", **{WITH: " Paris.", WITHOUT: " Rome."}),
    asked("country/capital", **{WITH: " Paris, of course.", WITHOUT: " Paris."}),
    asked("country/currency", **{WITH: " Bonn.", WITHOUT: " Bonn."}),
]
UNEDITED = [asked("country/capital", **{BASE: " Paris."}), asked("country/capital", **{BASE: " Nice."})]


def test_the_share_with_consequences_is_held_against_the_base_s_own() -> None:
    figures = {f.name: (round(f.value, 3), f.target, f.holds) for f in figures_of(EDITED, UNEDITED, 120)}
    assert figures == {
        "multihop.with": (0.667, ">= 0.5", True),
        "multihop.without": (0.333, None, None),
        "multihop.unedited": (0.5, None, None),
        "questions": (120, ">= 100", True),
    }
    assert [f.holds for f in figures_of(EDITED[2:], UNEDITED, 99) if f.target] == [False, False]


def test_the_shares_of_each_pair_of_relations_stand_beside_each_other() -> None:
    assert by_relation(EDITED, UNEDITED) == {
        "country/capital": {"with": 1.0, "without": 0.5, "prompts": 2, "unedited": 0.5},
        "country/currency": {"with": 0.0, "without": 0.0, "prompts": 1},
    }


def test_wrong_answers_are_shown() -> None:
    wrong = {"prompt": EDITED[2].prompt, "expected": "Paris", "answer": " Bonn."}
    assert missed(EDITED, 5) == [wrong] and missed(EDITED, 0) == []
