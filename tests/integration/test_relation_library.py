"""The shipped library: relations that people ask about, each with prompts that fit real names and real answers."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter

import pytest

from kbsync.config.relation_file import load_relations, read_relations
from kbsync.demo.table import load_table
from kbsync.domain.answer_text import normalise
from kbsync.domain.judging import asserts
from kbsync.domain.naming import Names
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ValueKind
from tests.support.paths import ROOT
from tests.support.relation_words import statements
from tests.support.wikidata_payloads import from_json, members

DATA = ROOT.parent / "shared" / "data"
LIBRARY = ROOT / "config" / "library"


@pytest.fixture(scope="module")
def library() -> tuple[Relation, ...]:
    return load_relations(LIBRARY)


def test_at_least_forty_relations_of_every_kind(library: tuple[Relation, ...]) -> None:
    assert len(library) >= 40
    kinds = {r.answer for r in library}
    assert {ValueKind.ITEM, ValueKind.TIME, ValueKind.QUANTITY, ValueKind.STRING, ValueKind.EXTERNAL_ID} <= kinds


def test_each_finds_its_own_subjects_and_is_asked_at_its_own_pace(library: tuple[Relation, ...]) -> None:
    for relation in library:
        assert "?item" in relation.subject_pattern, relation.name
        assert not re.search(r"SERVICE|bd:|LIMIT", relation.subject_pattern), f"{relation.name}: standard SPARQL only"
        assert relation.refresh.days >= 7, relation.name


def test_each_has_three_templates_and_no_prompt_is_another_relations(library: tuple[Relation, ...]) -> None:
    seen = Counter(normalise(fill(t, "Berlin")) for r in library for t in statements(r))
    # where two kinds of thing are made the same way, their subjects differ: no file watches both kinds
    assert [prompt for prompt, count in seen.items() if count > 1] == []
    assert all(len(statements(r)) >= 3 for r in library)


def test_translations_take_the_templates_place() -> None:
    problems: list[str] = []
    french = {r.name: r for r in read_relations(LIBRARY, problems, "fr")}
    assert problems == []
    assert french["capital"].prompt("France") == "La capitale de France est"
    assert french["currency"].prompt("France") == "The currency of France is the"


def check(relation: Relation, subject: str, answer: str) -> None:
    """A real pair of names fits: the subject stands whole in each prompt, and the answer is known again after it."""
    prompts = [fill(template, subject) for template in statements(relation)]
    assert len(set(prompts)) == len(prompts)
    for template, prompt in zip(statements(relation), prompts, strict=True):
        assert subject in prompt and len(prompt) - len(subject) == len(template) - 2
        assert "{}" not in template.replace("{}", "", 1)
        assert "  " not in prompt.replace(subject, "x") and prompt == prompt.rstrip()
    if normalise(answer):
        assert asserts(f" {answer}. And more.", [answer], prompt=prompt)


def test_the_demonstrations_real_names_fit(library: tuple[Relation, ...]) -> None:
    table, checked = load_table(), 0
    for relation in library:
        for subject in table.subjects(relation.property) if relation.property in table.properties else ():
            for row in table.group(subject, relation.property):
                check(relation, table.label(subject), table.label(row.object))
                checked += 1
    assert checked > 200


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the reference data ../shared/data is not there")
def test_real_names_and_values_fit_nearly_every_relation(library: tuple[Relation, ...]) -> None:
    """Items as answers from triples with labels; dates, quantities and codes from real entities."""
    counts = fit_items(library) + fit_values(library)
    assert len(counts) >= 60
    assert counts.total() > 10_000


def fit_items(library: tuple[Relation, ...]) -> Counter[str]:
    relations: dict[str, Relation] = {r.property: r for r in library}
    counts: Counter[str] = Counter()
    with gzip.open(DATA / "facts" / "facts_merged.tsv.gz", "rt", encoding="utf-8", newline="") as lines:
        for _, prop, _, subject, answer, *_ in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if prop in relations and counts[prop] < 400 and subject and answer:
                check(relations[prop], subject, answer)
                counts[prop] += 1
    return counts


def fit_values(library: tuple[Relation, ...]) -> Counter[str]:
    relations = {r.property: r for r in library if r.answer is not ValueKind.ITEM}
    counts: Counter[str] = Counter()
    for body in members("entity-json-105.tar.gz", ".json").values():
        entity = json.loads(body) or {"claims": {}, "labels": {}}
        label = str(entity["labels"]["en"]["value"]) if entity["labels"] and "en" in entity["labels"] else ""
        groups = entity["claims"] if label else {}
        for prop in groups.keys() & relations.keys():
            values = [s.value for claim in groups[prop] if (s := from_json(entity["id"], claim)) and s.value]
            for value in values:
                for name in Names({}).value(value).names:
                    check(relations[prop], label, name)
            counts[prop] += len(values)
    return +counts


def test_labels_are_wikidatas_own(library: tuple[Relation, ...]) -> None:
    known = load_table().properties
    compared = {r.property: r.label for r in library if r.property in known}
    assert len(compared) >= 15
    assert compared == {prop: known[prop] for prop in compared}
