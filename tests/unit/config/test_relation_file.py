"""Relation files."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.config import load_relations
from kbsync.config.relation_file import read_relations
from kbsync.domain.errors import ConfigError
from kbsync.domain.phrasing import Form, Phrasing, Use, from_templates
from kbsync.domain.relation import Cardinality, Relation, TrustPolicy
from kbsync.domain.statement import PropertyId
from tests.support.config_samples import RELATION, Writer


def relation_problems(directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_relations(directory)
    return list(caught.value.problems)


def test_a_relation_file_becomes_the_domains_value(write: Writer) -> None:
    directory = write(
        relations={
            "capital": """
property = "P36"
label = " capital "
templates = ["The capital of {} is"]
cardinality = "latest"
subject_pattern = "?item wdt:P31 wd:Q3624078 ."
[trust]
settle = "0s"
trust = "3d"
min_references = 0
""",
            "head-of-state": RELATION,
        }
    ).parent
    capital, head = load_relations(directory / "relations")
    assert capital == Relation(
        name="capital",
        property=PropertyId("P36"),
        label="capital",
        phrasings=from_templates("The capital of {} is"),
        cardinality=Cardinality.LATEST,
        trust=TrustPolicy(settle=timedelta(0), trust=timedelta(days=3), min_references=0),
        subject_pattern="?item wdt:P31 wd:Q3624078 .",
    )
    assert (head.name, head.trust, head.subjects) == ("head-of-state", TrustPolicy(), ("Q145", "Q142"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"P35"', '"Q35"', "property: 'Q35' is not a Wikidata property id (P and digits)."),
        ('"P35"', "35", "property: input should be a valid string (got 35)"),
        ('"head of state"', '"  "', "label: string should have at least 1 character"),
        ('of {} is"', 'of is"', "templates[0]: 'The head of state of is' must hold {} exactly once"),
        ('of {} is"', 'of {} and {} is"', "templates[0]: "),
        ('of {} is"', 'of {} is "', "templates[0]: 'The head of state of {} is ' ends with a blank"),
        ('{} is"', '{}"', "templates[0]: 'The head of state of {}' ends with the subject"),
        ('["The head of state of {} is", "{} is headed by"]', "[]", "templates: "),
        ('"{} is headed by"', '"The head of state of {} is"', "templates: listed more than once"),
        ('"Q142"', '"Q145"', "subjects: listed more than once: Q145"),
        ('"Q142"', '"P142"', "subjects[1]: 'P142' is not a Wikidata item id"),
        ('subjects = ["Q145", "Q142"]', "", "watches nothing"),
        ('subjects = ["Q145", "Q142"]', 'subject_pattern = "?x wdt:P31 wd:Q1"', "subject_pattern: does not name ?item"),
        ("subjects", "subject", "subject: is not a key here; did you mean 'subjects'?"),
        ("label", 'cardinality = "sgl"\nlabel', "cardinality: input should be 'single', 'latest' or 'set'"),
        ("subjects", 'trust = {trust = "1m"}\nsubjects', "trust: trust is shorter than settle"),
        ("subjects", 'trust = {settle = "soon"}\nsubjects', "trust.settle: is not a duration"),
        ("subjects", "trust = {min_references = -1}\nsubjects", "trust.min_references: "),
    ],
)
def test_mistakes_in_a_relation(write: Writer, old: str, new: str, says: str) -> None:
    assert old in RELATION
    directory = write(relations={"r": RELATION.replace(old, new)}).parent / "relations"
    found = relation_problems(directory)
    assert any(re.match(rf"{re.escape(str(directory))}/r\.toml(:\d+)?: {re.escape(says)}", p) for p in found), found


def test_one_property_in_two_files_is_refused_by_name(write: Writer) -> None:
    directory = write(relations={"a": RELATION, "b": RELATION}).parent / "relations"
    assert relation_problems(directory) == [
        f"{directory}/b.toml: property: P35 is watched by {directory}/a.toml already"
    ]


def test_an_empty_or_missing_directory_is_a_mistake(tmp_path: Path) -> None:
    assert relation_problems(tmp_path) == [f"{tmp_path}: holds no relation (*.toml)"]
    assert relation_problems(tmp_path / "x") == [f"{tmp_path}/x: is not a directory"]


HEADS = """property = "P35"
label = "head of state"
subjects = ["Q142"]
"""
PHRASED = (
    HEADS
    + """
[phrasings.edit]
dialogue = ["I am writing to the palace of {}. Who lives there?"]
question = ["Who is the head of state of {}?"]
statement = [
  "The head of state of {} is",
  "{} is headed by",  # said of firms, too
]
[phrasings.held_out]
statement = ["At the head of {} stands"]
[phrasings.de.edit]
statement = ["Staatsoberhaupt von {} ist"]
[phrasings.de.held_out]
question = ["Wer ist Staatsoberhaupt von {}?"]
"""
)


def read(write: Writer, text: str, language: str = "en") -> tuple[tuple[Relation, ...], list[str], list[str]]:
    """Relations, mistakes and warnings of a directory with one file, without the directory's name."""
    directory, problems, warnings = write(relations={"head": text}).parent / "relations", list[str](), list[str]()
    relations = read_relations(directory, problems, language, warnings)
    problems, warnings = ([line.replace(f"{directory}", "") for line in lines] for lines in (problems, warnings))
    return relations, problems, warnings


def test_phrasings_are_read_by_use_and_form(write: Writer) -> None:
    (relation,), *noted = read(write, PHRASED)
    assert noted == [[], []]
    assert relation.of(Use.EDIT) == (
        Phrasing("The head of state of {} is"),
        Phrasing("{} is headed by"),
        Phrasing("Who is the head of state of {}?", Form.QUESTION),
        Phrasing("I am writing to the palace of {}. Who lives there?", Form.DIALOGUE),
    )
    assert relation.of(Use.HELD_OUT) == (Phrasing("At the head of {} stands", use=Use.HELD_OUT),)
    assert relation.prompt_template == "The head of state of {} is"


@pytest.mark.parametrize(
    ("language", "edit", "held_out"),
    [
        ("de", "Staatsoberhaupt von {} ist", "Question: Wer ist Staatsoberhaupt von {}?\nAnswer:"),
        ("fr", "The head of state of {} is", "At the head of {} stands"),
    ],
)
def test_phrasings_are_those_of_the_language_or_else_english(
    write: Writer, language: str, edit: str, held_out: str
) -> None:
    (relation,), *noted = read(write, PHRASED, language)
    assert noted == [[], []]
    assert (relation.prompt_template, relation.templates(Use.HELD_OUT)[0]) == (edit, held_out)
    assert relation.language == language


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{} is headed", "It is headed", "/head.toml:10: phrasings.edit.statement[1]: 'It is headed by' must hold {}"),
        ("state of {}?", "state of {} and {}?", "/head.toml:7: phrasings.edit.question[0]: 'Who is the head of state "),
        ("headed by", "headed by ", "/head.toml:10: phrasings.edit.statement[1]: '{} is headed by ' ends with a blank"),
        (
            "{} is headed by",
            " {} is headed by",
            "/head.toml:10: phrasings.edit.statement[1]: ' {} is headed by' begins",
        ),
        ("{} is headed by", "Head of {}", "/head.toml:10: phrasings.edit.statement[1]: 'Head of {}' ends with the sub"),
        (
            "At the head of {} stands",
            "{}, is headed: by",
            "/head.toml:13: phrasings.held_out.statement[0]: '{}, is hea",
        ),
        ("Wer ist", "Wer war", None),
        ("Wer ist Staatsoberhaupt von {}?", "Staatsoberhaupt von {} ist?", "/head.toml:17: phrasings.de.held_out."),
        ("{} is headed by", "The head of state of {} is", "/head.toml:8: phrasings.edit.statement: listed more than"),
        ("[phrasings.held_out]", "[phrasings.heldout]", "/head.toml:5: phrasings: 'heldout' is neither a use (edit,"),
        ('question = ["Wer', 'queston = ["Wer', "/head.toml:17: phrasings.de.held_out.queston: is not a key here"),
        ("[phrasings.de.edit]", "[phrasings.fr.edit]", "/head.toml:16: phrasings.de.edit: is missing"),
        ('["Staatsoberhaupt von {} ist"]', "[]", "/head.toml:14: phrasings.de: has no phrasing for the edit"),
        ("[phrasings.edit]", "[phrasings]", "/head.toml:5: phrasings: 'dialogue' stands under no use"),
        ("label", 'templates = ["{} is"]\nlabel', "/head.toml: has [phrasings], which take the place of templates"),
        ("label", 'translations.de = ["{} ist"]\nlabel', "/head.toml: has [phrasings], which take the place of transl"),
    ],
)
def test_a_mistake_in_the_phrasings_is_one_line_and_nothing_is_loaded(
    write: Writer, old: str, new: str, says: str | None
) -> None:
    assert old in PHRASED
    relations, problems, _ = read(write, PHRASED.replace(old, new))
    assert [problem[: len(says or "")] for problem in problems] == ([says] if says else [])
    assert (relations == ()) == bool(says)


def test_a_relation_without_phrasings_is_told_what_to_write(write: Writer) -> None:
    relations, problems, _ = read(write, HEADS)
    assert relations == ()
    assert [p.partition(";")[0] for p in problems] == ["/head.toml: has no phrasings"]
    assert "[phrasings.edit]" in problems[0]


def test_an_old_file_loads_with_a_warning_that_says_what_to_write_instead(write: Writer) -> None:
    text = RELATION + '[translations]\nfr = ["Le chef d\'État de {} est", "À la tête de {} se trouve"]\n'
    (relation,), problems, warnings = read(write, text)
    assert problems == []
    assert [relation.templates(use) for use in Use] == [("The head of state of {} is",), ("{} is headed by",)]
    (warning,) = warnings
    assert warning.startswith(": head.toml: templates are out of date.")
    assert "[phrasings.edit]" in warning and "[phrasings.held_out]" in warning
    (french,), problems, _ = read(write, text, "fr")
    assert (problems, french.prompt_template) == ([], "Le chef d'État de {} est")
    assert french.templates(Use.HELD_OUT) == ("À la tête de {} se trouve",)


def test_words_for_the_question_backwards_are_english_and_hold_the_answer_once(write: Writer) -> None:
    file = RELATION.replace("label = ", 'reverse = "{} is the head of state of"\nlabel = ', 1)
    directory = write(relations={"head-of-state": file}).parent / "relations"
    assert load_relations(directory)[0].reverse == "{} is the head of state of"
    assert read_relations(directory, [], "de")[0].reverse == ""
    write(relations={"head-of-state": file.replace("{} is the head", "He is the head")})
    (problem,) = relation_problems(directory)
    assert "reverse" in problem
