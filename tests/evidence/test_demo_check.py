"""The check of the tables against reference data."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.demo.table import Table
from kbsync.domain.errors import DataError, NotFound
from tests.evidence.demo_check import Reference, compare, read_reference
from tests.support.evidence_cli import run
from tests.support.paths import DATA as REFERENCE

DATA = REFERENCE
needs_data = pytest.mark.skipif(not (DATA / "facts").is_dir(), reason="the reference data ../shared/data are absent")


@needs_data
def test_no_id_is_contradicted_and_nearly_all_are_confirmed(table: Table) -> None:
    lines = run("demo-check", "--data", str(DATA)).stdout.splitlines()
    assert "items contradicted: 0" in lines
    report = compare(table, read_reference(DATA, frozenset(table.items)))
    assert len(report.confirmed) >= 0.95 * len(table.items)
    assert len(report.statements) >= 0.5 * len(table.statements)
    assert lines[0].startswith(f"items: {len(report.confirmed)} of {len(table.items)} confirmed")


def test_items_and_statements_are_sorted_by_what_is_known(table: Table) -> None:
    first, second, third, *rest = table.items.values()
    row = next(r for r in table.statements if r.references)
    reference = Reference(frozenset(table.items))
    reference.name(first.id, first.label.upper())
    reference.name(second.id, "something else entirely")
    reference.triple(row.subject, row.property, row.object)
    report = compare(table, reference)
    assert report.confirmed == [first.id]
    assert report.contradicted == [second.id]
    assert set(report.not_found) == {third.id, *(item.id for item in rest)}
    assert report.statements == [(row.subject, row.property, row.object)]
    assert (row.subject, row.property, row.object) not in report.unconfirmed_statements


def test_a_contradiction_fails(monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    wrong = Reference(frozenset(table.items))
    item = next(iter(table.items.values()))
    wrong.name(item.id, "something else entirely")
    monkeypatch.setattr("tests.evidence.demo_check.read_reference", lambda data, wanted: wrong)
    result = run("demo-check", "--data", "anywhere", code=DataError.exit_code)
    assert f"  {item.id} {item.label}" in result.stdout


def test_missing_reference_data_are_named(tmp_path: Path) -> None:
    result = run("demo-check", "--data", str(tmp_path), code=NotFound.exit_code)
    assert "qid_labels_en.tsv.gz is missing" in result.stderr
