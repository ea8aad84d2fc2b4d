"""Sample values of the domain: a test names what it is about, and everything else is filled in.

The values are made to be hard to store: text with quotes, line separators and a NUL, numbers at the edge of what a
float can say, times with microseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import FactKey, FactRecord, FactState
from kbsync.domain.gate import GateDecision, Metric, Reason
from kbsync.domain.plan import Change, EditPlan, EditRequest, PlanEntry
from kbsync.domain.recipe import Recipe
from kbsync.domain.statement import (
    ItemHead,
    ItemId,
    ItemRecord,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    Value,
    ValueKind,
)
from kbsync.domain.verdict import Evidence, Reply, Verdict, VerdictKey, VerdictKind
from kbsync.domain.version import EditReport, Evaluation, LayerReport, Manifest, PromptOutcome

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEAD_OF_STATE, CAPITAL = PropertyId("P35"), PropertyId("P36")

_REQUEST = EditRequest(
    key=FactKey(ItemId("Q142"), PropertyId("P35")),
    subject="Frankreich “{}”",
    template="The head of state of {} is",
    target="Zoë Müller",
    value_hash="5" * 64,
    revision=12345678901,
    statement_ids=("Q142$ABC",),
    base_answer=" Jacques\u2028Chirac",
)
MANIFEST_AT = datetime(2026, 3, 1, 12, 30, 1, 234567, tzinfo=UTC)


def item_value(item: str) -> Value:
    """The value that is an item."""
    return Value(ValueKind.ITEM, item)


def statement(
    number: int, value: str | None = "Q1", *, subject: str = "Q145", property: str = "P35", **more: Any
) -> Statement:
    """A statement with the item ``value`` (None: without one); ``more`` are its other fields."""
    return Statement(
        id=f"{subject}${number}",
        subject=ItemId(subject),
        property=PropertyId(property),
        snak=more.pop("snak", Snak.VALUE),
        value=item_value(value) if value else None,
        rank=more.pop("rank", Rank.NORMAL),
        **more,
    )


def record(*statements: Statement, subject: str = "Q145", revision: int = 1, **head: Any) -> ItemRecord:
    """What the source says of an item; ``head`` are fields of its head."""
    return ItemRecord(
        head=ItemHead(id=ItemId(subject), revision=revision, modified=head.pop("modified", NOW), **head),
        labels=Labels(item=ItemId(subject), label=f"label of {subject}", aliases=(f"alias of {subject}",)),
        statements=statements,
    )


def state(*values: str, revision: int = 1, since: datetime = NOW) -> FactState:
    """What holds of a fact: these items."""
    return FactState(
        values=tuple(sorted(map(item_value, values))),
        former=(item_value("Q9682"),),
        statement_ids=("Q145$1",),
        references=2,
        revision=revision,
        since=since,
    )


def fact(subject: str = "Q145", property: str = "P35", *, believed: bool = False) -> FactRecord:
    """A fact that is observed with one value and, if ``believed``, believed with another."""
    return FactRecord(
        key=FactKey(ItemId(subject), PropertyId(property)),
        observed=state("Q43274"),
        believed=state("Q9682") if believed else None,
        believed_at=NOW - HOUR if believed else None,
    )


def verdict(
    key: FactKey,
    *,
    model: str = "model",
    value_hash: str = "v",
    names_hash: str = "n",
    kind: VerdictKind = VerdictKind.STALE,
) -> Verdict:
    """A verdict whose evidence is hard to store."""
    return Verdict(
        key=VerdictKey(
            fact=key, value_hash=value_hash, names_hash=names_hash, model_fingerprint=model, template_hash="t"
        ),
        kind=kind,
        evidence=Evidence(
            replies=(
                Reply(
                    prompt="The monarch of the United Kingdom is",
                    greedy=' Elizabeth\x00 “II”\n"quoted"',
                    kind=VerdictKind.STALE,
                    matched="Elizabeth II",
                ),
                Reply(prompt="Q: Who reigns?\nA:", greedy=" Nobody", kind=VerdictKind.UNKNOWN, reason="no name in it"),
            ),
            logprob_answer=-12.300000000000001,
            logprob_former=-1e-17,
        ),
    )


def edit_plan(*targets: str, predecessor: int = 0, base: str = "base") -> EditPlan:
    """A plan that adds a fact for each target, about items Q1, Q2, …."""
    entries = tuple(
        PlanEntry(
            key=FactKey(ItemId(f"Q{n}"), HEAD_OF_STATE),
            change=Change.ADD,
            request=EditRequest(
                key=FactKey(ItemId(f"Q{n}"), HEAD_OF_STATE),
                subject=f"country {n}",
                template="The head of state of {} is",
                target=target,
                value_hash="v",
                revision=n,
                statement_ids=(f"Q{n}$1",),
            ),
            previous=None,
            reason="the base says something else",
        )
        for n, target in enumerate(targets, start=1)
    )
    return EditPlan(base_fingerprint=base, recipe_fingerprint="recipe", predecessor=predecessor, entries=entries)


def evaluation(version: int, *, value: float = 0.987654321, at: datetime = NOW, passed: bool = True) -> Evaluation:
    """An evaluation with one metric and one outcome."""
    return Evaluation(
        version=version,
        metrics=(Metric(name="efficacy", value=value, base=0.0, samples=10),),
        decision=GateDecision(passed=passed, reasons=(Reason(metric="efficacy", holds=passed, text="why"),)),
        outcomes=(
            PromptOutcome(
                group="edited",
                subject="Q1",
                property="P35",
                prompt="The head of state of country 1 is",
                expected="Ada",
                base_answer="Bob",
                answer="Ada",
                base_right=False,
                right=True,
            ),
        ),
        at=at,
    )


def make_manifest(factors: dict[str, str]) -> Manifest:
    """A manifest with something in every field but the guards, among it numbers and text that are easy to get wrong."""
    return Manifest(
        base_fingerprint="b" * 64,
        build_hash=content_hash("build"),
        recipe=Recipe(name="small", layers=(1, 2), contexts=("{}", "Well, {}")),
        requests=(_REQUEST,),
        factors=factors,
        targets={_REQUEST.id: "d" * 64},
        covariance_fingerprint="c" * 64,
        libraries={"torch": "2.13.0"},
        report=EditReport(
            layers=(
                LayerReport(
                    layer=1, residual_before=1e-300, residual_after=1 / 3, delta_ratio=2.5e-3, condition=1e17, ridge=0.0
                ),
            ),
            losses={_REQUEST.id: 0.04},
            left_out={"e" * 64: "the prompt is longer than the context"},
            targets_reused=3,
            seconds=0.1 + 0.2,
        ),
        audit_head="a" * 64,
        created_at=MANIFEST_AT,
        artifacts={"targets/" + "7" * 64: "d" * 64},
    )
