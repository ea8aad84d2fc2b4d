"""The second hops that a relation file names under ``[[implies]]``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbsync.config import load_relations
from kbsync.config.edit import EditSettings
from kbsync.config.relation_file import read_relations
from kbsync.domain.errors import ConfigError
from kbsync.domain.phrasing import Form, Phrasing, Use
from tests.support.config_samples import RELATION, Writer

IMPLYING = (
    RELATION
    + """
[[implies]]
relation = "spouse"
[implies.phrasings.edit]
statement = ["The spouse of the head of state of {} is"]
[implies.phrasings.held_out]
question = ["Who is the head of state of {} married to?"]
[implies.phrasings.fr.edit]
statement = ["Le conjoint du chef de l'État de {} est"]

[[implies]]
relation = "home"
[implies.phrasings.edit]
question = ["Where does the head of state of {} live?"]
"""
)
SPOUSE = """property = "P26"
label = "spouse"
subjects = ["Q1"]
templates = ["{} is married to"]
"""


def directory_of(write: Writer, text: str = IMPLYING, **more: str) -> Path:
    return write(relations={"head": text, "spouse": SPOUSE} | more).parent / "relations"


def test_a_file_names_second_hops_with_phrasings_of_their_own(write: Writer) -> None:
    head, spouse = load_relations(directory_of(write))
    assert [implied.relation for implied in head.implies] == ["spouse", "home"]
    assert head.implies[0].phrasings == (
        Phrasing("The spouse of the head of state of {} is"),
        Phrasing("Who is the head of state of {} married to?", Form.QUESTION, Use.HELD_OUT),
    )
    assert spouse.implies == ()


def test_they_are_in_the_language_that_is_wanted(write: Writer) -> None:
    problems: list[str] = []
    head, _ = read_relations(directory_of(write), problems, "fr")
    assert head.implies[0].phrasings == (Phrasing("Le conjoint du chef de l'État de {} est"),)
    assert head.implies[1].phrasings[0].text == "Where does the head of state of {} live?"
    assert not problems


def test_a_second_hop_that_is_not_watched_is_warned_of_and_no_mistake(write: Writer) -> None:
    problems, warnings = list[str](), list[str]()
    directory = directory_of(write, IMPLYING.replace('"home"', '"spuse"'))
    read_relations(directory, problems, warnings=warnings)
    assert not problems
    (warning,) = [line for line in warnings if "implies" in line]
    assert warning == (
        f"{directory}: head implies 'spuse', which is not watched, so nothing follows from it; did you mean 'spouse'?"
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "[implies.phrasings.edit]\nquestion",
            "[implies.phrasings.edit]\nquestin",
            ":19: implies[1].phrasings.edit.que",
        ),
        ("of {} live?", "of it live?", ":19: implies[1].phrasings.edit.question[0]: "),
        ('relation = "home"', "", ":16: implies[1].relation: is missing"),
        ('"home"', '"spouse"', ":7: implies: listed more than once: spouse"),
        (
            "Who is the head of state of {} married to?",
            "the spouse of the head of state of {} is?",
            ":12: implies[0].phrasings.held_out.question[0]: ",
        ),
        ("[implies.phrasings.edit]", "[implies.phrasings.held]", ":9: implies[0].phrasings: 'held' is neither a use"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(write: Writer, old: str, new: str, says: str) -> None:
    assert old in IMPLYING
    with pytest.raises(ConfigError) as caught:
        load_relations(directory_of(write, IMPLYING.replace(old, new, 1)))
    assert any(re.search(rf"head\.toml{re.escape(says)}", problem) for problem in caught.value.problems), (
        caught.value.problems
    )


def test_consequences_are_off_until_somebody_wants_them() -> None:
    assert not EditSettings().consequences
