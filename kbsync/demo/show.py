"""What the demonstration prints. Labels come from outside, so they are escaped before rich reads them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kbsync.bootstrap import App
from kbsync.demo.changes import Event
from kbsync.domain.plan import Change
from kbsync.domain.verdict import VerdictKind
from kbsync.stages.cycle import CycleResult
from kbsync.stages.facts import believed_facts

NAMED = 5
"""The most refused facts that are named for one reason."""
COLUMNS = {
    VerdictKind.CURRENT: "knows",
    VerdictKind.SHAKY: "in some phrasings",
    VerdictKind.STALE: "outdated",
    VerdictKind.UNKNOWN: "wrong",
    VerdictKind.AMBIGUOUS: "ambiguous",
}
"""What a verdict is called in the table of what the base believes."""


def cycle(console: Console, app: App, result: CycleResult) -> None:
    """One cycle, stage by stage."""
    pulled, statements = result.pulled, result.pulled.statements
    console.print(
        f"pull: {pulled.fetched} of {pulled.watched} watched items fetched; statements: {statements.added} added, "
        f"{statements.changed} changed, {statements.removed} removed; {pulled.waiting} facts wait to be trusted"
    )
    if result.probed.asked:
        verdicts(console, app)
    changes = Counter(entry.change for entry in result.planned.plan.entries)
    console.print("plan: " + ", ".join(f"{changes[c]} {c}" for c in Change))
    by_reason: dict[str, list[str]] = defaultdict(list)
    for refusal in result.planned.plan.refused:
        by_reason[refusal.reason].append(str(refusal.key))
    for why, keys in by_reason.items():
        more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
        console.print(f"  refused {', '.join(keys[:NAMED])}{more}: {escape(why)}")
    if result.version and result.evaluation:
        console.print(f"edit: version {result.version.number}, hash {(result.version.version_hash or '')[:16]}")
        for reason in result.evaluation.decision.reasons:
            said = "holds" if reason.holds else "warns" if reason.warning else "FAILS"
            console.print(f"gate: {said}: {escape(reason.text)}")
    console.print(f"[bold]{result.outcome}[/bold] {escape(result.reason)}")


def verdicts(console: Console, app: App) -> None:
    """By relation, how many facts the base knows, has outdated, or doesn't know."""
    with app.ledger.read() as tx:
        facts = believed_facts(tx, app.framed, app.base.fingerprint)
    counts: dict[str, Counter[VerdictKind]] = {relation.label: Counter() for relation in app.relations}
    for key, watched in facts.watched.items():
        counts[watched.relation.label][facts.verdicts[key].kind] += 1
    table = Table("relation", *(COLUMNS[kind] for kind in VerdictKind), title="What the base model believes")
    total: Counter[VerdictKind] = Counter()
    for label, kinds in counts.items():
        table.add_row(escape(label), *(str(kinds[k]) for k in VerdictKind))
        total += kinds
    table.add_section()
    table.add_row("all", *(str(total[k]) for k in VerdictKind))
    console.print(table)


def events(console: Console, happened: Sequence[Event]) -> None:
    for event in happened:
        console.print(f"{event.kind}: {escape(event.text)}")


def answers(console: Console, app: App, result: CycleResult) -> None:
    """Every edited fact with the base's answer and the new version's."""
    labels = {str(relation.property): relation.label for relation in app.relations}
    table = Table("fact", "the base said", "version 2 says", "", title="Edited facts")
    for outcome in result.evaluation.outcomes if result.evaluation else ():
        if outcome.group == "edited":
            fact = f"{outcome.prompt} → {outcome.expected} ({labels.get(outcome.property, outcome.property)})"
            table.add_row(*map(escape, (fact, outcome.base_answer, outcome.answer)), "✓" if outcome.right else "✗")
    console.print(table)


def gate(console: Console, results: Sequence[CycleResult]) -> None:
    """The gate's figures: base against each version, with the 95 % interval."""
    table = Table("figure", "n", "base", "version", "95 %", "", title="The gate")
    for result in results:
        for metric in result.evaluation.metrics if result.evaluation else ():
            number = result.version.number if result.version else "?"
            interval = "" if metric.low is None else f"{metric.low:.3f} to {metric.high:.3f}"
            figures = (f"{metric.base:.3f}", f"{metric.value:.3f}", interval)
            table.add_row(metric.name, str(metric.samples), *figures, f"version {number}")
        table.add_section()
    console.print(table)


def figures(console: Console, document: dict[str, Any]) -> None:
    """The evidence file as a table."""
    table = Table("figure", "value", "unit", "target", "", title="Figures of this run")
    for figure in document["figures"]:
        holds = {True: "✓", False: "✗ missed", None: ""}[figure["holds"]]
        table.add_row(figure["name"], f"{figure['value']:.4g}", figure["unit"], figure["target"] or "", holds)
    console.print(table)
