"""A made-up world for ``python -m tests.evidence ledger``, of Wikidata's shape: each item has a few watched properties,
each of them statements through time of which the last one holds. All goes through the ledger's port, as pull, probe and
plan use it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kbsync.domain.fact import Fact, FactKey, FactRecord, observe
from kbsync.domain.gate import GateDecision, Metric
from kbsync.domain.phrasing import from_templates
from kbsync.domain.plan import EditRequest, make_plan
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import (
    ItemHead,
    ItemId,
    ItemRecord,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from kbsync.domain.verdict import Evidence, Reply, Verdict, VerdictKey, VerdictKind
from kbsync.domain.version import CURRENT, Evaluation, PromptOutcome, VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import LedgerTransaction, Work
from kbsync.stages.facts import unjudged_facts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "b" * 64
PAGE = 200
"""Items in one transaction, as pull writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSize:
    """How much the ledger holds."""

    items: int = 40_000
    properties: int = 5
    """Watched properties of each item."""
    statements: int = 5
    """Statements of each property."""
    changed: float = 0.05
    """Share of the items that have a second revision."""
    unjudged: int = 1000
    """Facts without a verdict, which are due."""
    versions: int = 100
    """All of them evaluated."""
    facts: int = 500
    """Facts in each version."""
    events: int = 20_000
    """Audit events."""

    @property
    def total(self) -> int:
        return self.items * self.properties * self.statements


def relations(size: LedgerSize) -> tuple[Relation, ...]:
    return tuple(
        Relation(
            name=f"relation_{n}",
            property=PropertyId(f"P{n}"),
            label=f"relation {n}",
            phrasings=from_templates(f"The relation {n} of {{}} is", f"{{}} has as relation {n}"),
            cardinality=Cardinality.LATEST,
        )
        for n in range(1, size.properties + 1)
    )


def _statements(item: int, size: LedgerSize, revision: int) -> tuple[Statement, ...]:
    """An item's statements through time, of which the last one holds; another revision has another last value."""
    statements = []
    for prop in range(1, size.properties + 1):
        for number in range(size.statements):
            last = number == size.statements - 1
            year, value = 1990 + 4 * number, 10**6 + (item * 7 + number * 13 + prop) % 50_000 + (revision - 1) * last
            statements.append(
                Statement(
                    id=f"Q{item}${prop:04d}-{number:04d}-4000-8000-{item:012d}",
                    subject=ItemId(f"Q{item}"),
                    property=PropertyId(f"P{prop}"),
                    snak=Snak.VALUE,
                    value=Value(ValueKind.ITEM, f"Q{value}"),
                    rank=Rank.NORMAL,
                    start=TimePoint(f"+{year}-01-01T00:00:00Z", 9),
                    end=None if last else TimePoint(f"+{year + 4}-01-01T00:00:00Z", 9),
                    references=2,
                )
            )
    return tuple(statements)


def _record(item: int, size: LedgerSize, revision: int) -> ItemRecord:
    name = ItemId(f"Q{item}")
    return ItemRecord(
        head=ItemHead(id=name, revision=revision, modified=NOW - timedelta(days=30)),
        labels=Labels(item=name, label=f"Item number {item}", aliases=(f"No. {item}",)),
        statements=_statements(item, size, revision),
    )


def _pages(first: int, last: int) -> Iterator[range]:
    for start in range(first, last + 1, PAGE):
        yield range(start, min(start + PAGE, last + 1))


def fill(ledger: SqlLedger, size: LedgerSize, work: Work) -> tuple[int, float]:
    """Write new statements and their facts; returns the number of statements, and the seconds."""
    with ledger.read() as tx:
        mark = tx.watermark("bench")
    filled = int((mark - NOW).total_seconds()) if mark else 0
    work.start("fill", size.items - filled)
    seconds = 0.0
    for page in _pages(filled + 1, size.items):
        records = [_record(item, size, 1) for item in page]
        begun = time.monotonic()
        with ledger.write() as tx:
            _write(tx, records, size)
            tx.set_watermark("bench", NOW + timedelta(seconds=page[-1]))
        seconds += time.monotonic() - begun
        work.advance(len(page))
    work.finish()
    return (size.items - filled) * size.properties * size.statements, seconds


def change(ledger: SqlLedger, size: LedgerSize, work: Work) -> tuple[int, float]:
    """Write items with a new revision; returns the statements that were compared, and the seconds."""
    count = int(size.items * size.changed)
    work.start("change", count)
    seconds, seen = 0.0, 0
    for page in _pages(1, count):
        records = [_record(item, size, 2) for item in page]
        begun = time.monotonic()
        with ledger.write() as tx:
            _write(tx, records, size)
        seconds += time.monotonic() - begun
        seen += sum(len(r.statements) for r in records)
        work.advance(len(page))
    work.finish()
    return seen, seconds


def _write(tx: LedgerTransaction, records: Sequence[ItemRecord], size: LedgerSize) -> None:
    properties = [PropertyId(f"P{n}") for n in range(1, size.properties + 1)]
    tx.record_items(records, properties, NOW)
    tx.record_labels([record.labels for record in records])
    facts = []
    for record in records:
        for prop in properties:
            known = [s for s in record.statements if s.property == prop]
            state = observe(known, Cardinality.LATEST, revision=record.head.revision, since=NOW, now=NOW)
            key = FactKey(record.head.id, prop)
            facts.append(FactRecord(key=key, observed=state, believed=state, believed_at=NOW))
    tx.put_facts(facts)


def judge(ledger: SqlLedger, size: LedgerSize, relations: Sequence[Relation], work: Work) -> None:
    """Record verdicts on all facts but the last ``unjudged`` ones."""
    with ledger.read() as tx:
        waiting = unjudged_facts(tx, relations, BASE).unjudged
    chosen = waiting[: max(0, len(waiting) - size.unjudged)]
    work.start("judge", len(chosen))
    for start in range(0, len(chosen), 5000):
        page = chosen[start : start + 5000]
        with ledger.write() as tx:
            tx.record_verdicts([_verdict(relation, fact) for relation, fact in page], NOW)
        work.advance(len(page))
    work.finish()


def _verdict(relation: Relation, fact: Fact) -> Verdict:
    key = VerdictKey.of(relation, fact, BASE)
    prompt = relation.prompt(fact.subject_label or "")
    kind = VerdictKind.STALE if int(fact.key.subject[1:]) % 10 == 0 else VerdictKind.CURRENT
    reply = Reply(prompt=prompt, greedy=" somebody else.", kind=kind)
    said = Evidence(replies=(reply,), logprob_answer=-7.25, logprob_former=-3.5)
    return Verdict(key=key, kind=kind, evidence=said)


def versions(ledger: SqlLedger, size: LedgerSize, relations: Sequence[Relation]) -> None:
    """Record versions, all promoted, each with a few new facts. The item in the middle is in all of them."""
    relation, middle = relations[0], size.items // 2
    with ledger.read() as tx:
        known = len(tx.versions())
    for number in range(known + 1, size.versions + 1):
        items = range(max(1, middle - size.facts - number), middle + 1)
        requests = [_request(relation, item, number) for item in items][-size.facts :]
        plan = make_plan(
            requests, {}, base_fingerprint=BASE, recipe_fingerprint=f"{number:064x}", predecessor=number - 1
        )
        with ledger.write() as tx:
            plan_hash = tx.record_plan(plan, NOW).plan_hash
            version = tx.add_version(plan_hash, plan, NOW).number
            tx.set_version_state(version, VersionState.CANDIDATE, version_hash=f"{version:064x}")
            tx.append_audit("edit", "bench", {"version": version, "left_out": {}}, NOW)
            tx.record_evaluation(_evaluation(version, requests))
            tx.set_version_state(version, VersionState.PROMOTED)
            lease = tx.acquire_lease("writer", "bench", timedelta(minutes=1), NOW)
            tx.move_alias(CURRENT, version, lease, NOW)
            tx.release_lease(lease)


def _request(relation: Relation, item: int, number: int) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{item}"), relation.property),
        subject=f"Item number {item}",
        template=relation.prompt_template,
        target=f"Answer {item % 1000} of {number if item % 50 == 0 else 0}",
        value_hash=f"{item:064x}",
        revision=1,
        statement_ids=(f"Q{item}$1",),
        base_answer=" nobody.",
    )


def _evaluation(version: int, requests: Sequence[EditRequest]) -> Evaluation:
    """An evaluation that asks for each fact as it was written and in other words, and for as many neighbours."""
    outcomes = tuple(
        PromptOutcome(
            group=group,
            subject=request.key.subject,
            property=request.key.property,
            prompt=request.template.format(request.subject),
            expected=request.target,
            base_answer=request.base_answer,
            answer=request.target,
            base_right=False,
            right=True,
        )
        for group in ("edited", "edited_statement", "neighbour")
        for request in requests
    )
    metric = Metric(name="efficacy", value=1.0, base=0.0, samples=len(requests))
    decision = GateDecision(passed=True, reasons=())
    return Evaluation(version=version, metrics=(metric,), decision=decision, outcomes=outcomes, at=NOW)


def events(ledger: SqlLedger, size: LedgerSize) -> None:
    """Record an audit trail as long as that of years of hourly cycles."""
    with ledger.read() as tx:
        newest = tx.newest_event()
    known = newest.seq if newest else 0
    for start in range(known, size.events, 1000):
        with ledger.write() as tx:
            for number in range(start, min(start + 1000, size.events)):
                kind = "probe" if number % 2 else "pull"
                body = {"source": "bench", "model": BASE, "fetched": number, "history": tx.history_head()}
                tx.append_audit(kind, "bench", body, NOW)
