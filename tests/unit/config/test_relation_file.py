"""Relation files."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.config import load_relations
from kbsync.config.relation_file import read_relations
from kbsync.domain.errors import ConfigError
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
        templates=("The capital of {} is",),
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
    assert any(p.startswith(f"{directory}/r.toml: {says}") for p in found), found


def test_one_property_in_two_files_is_refused_by_name(write: Writer) -> None:
    directory = write(relations={"a": RELATION, "b": RELATION}).parent / "relations"
    assert relation_problems(directory) == [
        f"{directory}/b.toml: property: P35 is watched by {directory}/a.toml already"
    ]


def test_an_empty_or_missing_directory_is_a_mistake(tmp_path: Path) -> None:
    assert relation_problems(tmp_path) == [f"{tmp_path}: holds no relation (*.toml)"]
    assert relation_problems(tmp_path / "x") == [f"{tmp_path}/x: is not a directory"]


def test_templates_are_those_of_the_language_or_else_the_file_s_own(write: Writer) -> None:
    text = RELATION + '[translations]\nfr = ["Le chef d\'État de {} est"]\n'
    directory, noted = write(relations={"head": text}).parent / "relations", list[str]()
    for language, first in (("fr", "Le chef d'État de {} est"), ("de", "The head of state of {} is")):
        (relation,) = read_relations(directory, noted, language)
        assert (relation.templates[0], relation.language) == (first, language)
    assert noted == []
