"""The shipped relation files and the demo's table belong together."""

from __future__ import annotations

from datetime import datetime

import pytest

from kbsync.config.relation_file import load_relations
from kbsync.demo.table import Table
from kbsync.domain.fact import observe
from kbsync.domain.relation import Relation
from kbsync.domain.statement import Snak, Statement, Value, ValueKind
from tests.support.paths import ROOT
from tests.support.relation_words import statements

RELATIONS = ROOT / "config" / "relations"


@pytest.fixture(scope="module")
def relations() -> tuple[Relation, ...]:
    return load_relations(RELATIONS)


def test_each_property_of_the_table_is_watched_with_its_subjects(relations: tuple[Relation, ...], table: Table) -> None:
    assert {r.property: r.label for r in relations} == table.properties
    for relation in relations:
        assert relation.subjects == table.subjects(relation.property), relation.name


def test_templates_are_a_prompt_and_at_least_two_paraphrases(relations: tuple[Relation, ...]) -> None:
    for relation in relations:
        assert len(statements(relation)) >= 3, relation.name
        assert all(t.count("{}") == 1 and not t.endswith(("{}", " ")) for t in statements(relation)), relation.name


def test_no_prompt_is_asked_for_two_facts(relations: tuple[Relation, ...], table: Table) -> None:
    prompts = [r.prompt(table.label(subject)) for r in relations for subject in r.subjects]
    assert len(set(prompts)) == len(prompts)


def test_one_answer_holds_for_every_watched_fact(
    relations: tuple[Relation, ...], table: Table, moment: datetime
) -> None:
    for relation in relations:
        for subject in relation.subjects:
            statements = [
                Statement(
                    id=f"{row.subject}${number}",
                    subject=row.subject,
                    property=row.property,
                    snak=Snak.VALUE,
                    value=Value(ValueKind.ITEM, row.object),
                    rank=row.rank,
                    start=row.start,
                    end=row.end,
                    references=row.references,
                )
                for number, row in enumerate(table.group(subject, relation.property))
            ]
            state = observe(statements, relation.cardinality, revision=1, since=moment, now=moment)
            assert len(state.values) == 1, (relation.name, subject)
            assert state.references >= relation.trust.min_references
