"""Relation and recipe files."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.config import load_all, load_recipe, load_relations
from kbsync.config.recipe_file import RecipeFile
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Cardinality, Relation, TrustPolicy
from tests.support.config_samples import MAIN, RELATION, Writer


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
        property="P36",
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


def test_mistakes_of_all_files_come_together(write: Writer) -> None:
    path = write(
        MAIN + "[log]\nlevel = 3\n",
        relations={"a": RELATION + "x = 1", "b": "[", "c": RELATION},
        recipes={"small": "layers = []\nstep = 5\n"},
    )
    with pytest.raises(ConfigError) as caught:
        load_all(path)
    places = [p.removeprefix(f"{path.parent}/").partition(": ")[0] for p in caught.value.problems]
    assert places == ["kbsync.toml", "relations/a.toml", "relations/b.toml", "recipes/small.toml", "recipes/small.toml"]
    assert "5 mistakes" in str(caught.value)


def test_the_recipe_file_has_the_domains_fields_and_defaults() -> None:
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    assert set(RecipeFile.model_fields) == set(fields)
    assert RecipeFile(layers=(3,)).recipe("x") == Recipe(name="x", layers=(3,))


def test_recipes_by_name_and_by_path(write: Writer, tmp_path: Path) -> None:
    path = write(recipes={"small": 'layers = [0]\ncontexts = ["{}", "Well, {}"]\nsteps = 3\n'})
    expected = Recipe(name="small", layers=(0,), contexts=("{}", "Well, {}"), steps=3)
    assert load_recipe("small", path.parent / "recipes") == expected
    assert load_recipe(str(path.parent / "recipes/small.toml"), tmp_path) == expected
    assert load_all(path, {"edit": {"recipe": "recipes/small.toml"}}).recipe == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps = 3", "layers: is missing"),
        ("layers = [2, 1]", "layers: must rise"),
        ("layers = [1, 1]", "layers: listed more than once: 1"),
        ("layers = [-1]", "layers[0]: input should be greater than or equal to 0"),
        ("layers = [1]\nclamp = inf", "clamp: input should be a finite number"),
        ("layers = [1]\ncovariance_weight = 0", "covariance_weight: input should be greater than 0"),
        ('layers = [1]\ncontexts = ["no place"]', "contexts[0]: 'no place' must hold {} exactly once"),
        ('layers = [1]\ndtype = "int8"', "dtype: input should be 'float32', 'bfloat16' or 'float16' (got 'int8')"),
        ("layers = [1]\nlerning_rate = 1", "lerning_rate: is not a key here; did you mean 'learning_rate'?"),
    ],
)
def test_mistakes_in_a_recipe(write: Writer, text: str, says: str) -> None:
    directory = write(recipes={"small": text}).parent / "recipes"
    with pytest.raises(ConfigError) as caught:
        load_recipe("small", directory)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{directory}/small.toml: {says}")


def test_an_unknown_recipe_names_those_that_exist(write: Writer) -> None:
    directory = write().parent / "recipes"
    with pytest.raises(ConfigError, match="holds no recipe 'smal'; did you mean 'small'"):
        load_recipe("smal", directory)
    with pytest.raises(ConfigError, match="holds no recipe 'zzz'; it holds small"):
        load_recipe("zzz", directory)
