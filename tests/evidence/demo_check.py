"""The tables of the demonstration, compared with reference data.

An item is confirmed if a reference knows its id by one of our names, and contradicted if references know the id only by
other names; else it is not found. A statement is confirmed if a reference has the same triple.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kbsync.demo.table import Table
from kbsync.domain.answer_text import normalise
from kbsync.domain.errors import NotFound

Triple = tuple[str, str, str]
LEADER_PROPERTIES = ("P6", "P35")
"""The timeline of world leaders gives the office as an item, so its triples may be of either property."""


@dataclass(slots=True)
class Reference:
    """What the reference data say about some items."""

    wanted: frozenset[str]
    """Ids of the items."""
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Normalised names by item id."""
    triples: set[Triple] = field(default_factory=set)
    """Triples of ids, among the items."""

    def name(self, item: str, name: str) -> None:
        if item in self.wanted and name:
            self.names[item].add(normalise(name))

    def triple(self, subject: str, prop: str, obj: str) -> None:
        if subject in self.wanted and obj in self.wanted:
            self.triples.add((subject, prop, obj))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Item ids and triples by what the references say about them, each sorted."""

    confirmed: list[str]
    not_found: list[str]
    contradicted: list[str]
    statements: list[Triple]
    unconfirmed_statements: list[Triple]


def read_reference(data: Path, wanted: frozenset[str]) -> Reference:
    """Read what the reference files say about the items ``wanted``. Raises ``NotFound`` naming a missing file."""
    reference = Reference(wanted)
    facts = data / "facts"
    for item, name, *_ in _tsv(facts / "qid_labels_en.tsv.gz"):
        reference.name(item, name)
    for subject, prop, obj, subject_name, object_name, *_ in _tsv(facts / "facts_merged.tsv.gz"):
        reference.name(subject, subject_name)
        reference.name(obj, object_name)
        reference.triple(subject, prop, obj)
    for fact in _jsonl(facts / "time_qualified_facts.jsonl.gz"):
        reference.name(fact["s"], fact["s_label"])
        reference.name(fact["o"], fact["o_label"])
        reference.triple(fact["s"], fact["p"], fact["o"])
    for row in _leaders(facts / "world_leaders_timeline.tar.gz"):
        reference.name(row["countryid"], row["country"])
        reference.name(row["officeholder"], row["officeholderLabel"])
        for prop in LEADER_PROPERTIES:
            reference.triple(row["countryid"], prop, row["officeholder"])
    for case in _jsonl(data / "counterfact" / "counterfact-edit-10000-wikidata-ids.jsonl.gz"):
        reference.name(case["subject_qid"], case["subject"])
        reference.name(case["target_true_qid"], case["target_true"])
        reference.triple(case["subject_qid"], case["relation_id"], case["target_true_qid"])
    return reference


def compare(table: Table, reference: Reference) -> Report:
    """Compare every item and statement with the reference, including those of the changes."""
    confirmed: list[str] = []
    not_found: list[str] = []
    contradicted: list[str] = []
    for item in table.items.values():
        ours = {normalise(name) for name in (item.label, *item.aliases)}
        theirs = reference.names.get(item.id)
        (not_found if theirs is None else confirmed if ours & theirs else contradicted).append(item.id)
    triples: set[Triple] = {(r.subject, r.property, r.object) for r in table.statements}
    triples |= {(c.subject, c.property, c.new) for c in table.changes if c.new and c.start}
    return Report(
        confirmed=sorted(confirmed),
        not_found=sorted(not_found),
        contradicted=sorted(contradicted),
        statements=sorted(triples & reference.triples),
        unconfirmed_statements=sorted(triples - reference.triples),
    )


def lines(table: Table, report: Report) -> Iterator[str]:
    """The report in words."""
    total = len(table.items)
    yield f"items: {len(report.confirmed)} of {total} confirmed ({len(report.confirmed) / total:.1%})"
    yield f"items not found in the reference data: {len(report.not_found)}"
    yield from (f"  {item} {table.items[item].label}" for item in table.items if item in report.not_found)
    yield f"items contradicted: {len(report.contradicted)}"
    yield from (f"  {item} {table.items[item].label}" for item in table.items if item in report.contradicted)
    count = len(report.statements)
    yield f"statements: {count} of {count + len(report.unconfirmed_statements)} confirmed"


def _open(path: Path) -> gzip.GzipFile:
    try:
        return gzip.open(path)
    except FileNotFoundError as error:
        raise NotFound(f"{path} is missing.", next_step="Name the reference data with --data.") from error


def _tsv(path: Path) -> Iterator[list[str]]:
    with _open(path) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            yield line.rstrip("\n").split("\t")


def _jsonl(path: Path) -> Iterator[dict[str, str]]:
    with _open(path) as stream:
        yield from map(json.loads, stream)


def _leaders(path: Path) -> Iterator[dict[str, str]]:
    with _open(path) as stream, tarfile.open(fileobj=stream) as archive:
        for member in archive:
            table = archive.extractfile(member) if member.name.endswith(".csv") else None
            if table:
                yield from csv.DictReader(io.TextIOWrapper(table, encoding="utf-8"))
