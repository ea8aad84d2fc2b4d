"""Why does the model say this? Everything that the ledger knows about one fact, from the statement to the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.errors import NotFound
from kbsync.domain.fact import FactKey, FactRecord, FactState, trust
from kbsync.domain.naming import Names, items_of, mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemId
from kbsync.ports import AuditReader, Belief, LedgerReader, NameReader, StatementChange, StatementReader
from kbsync.stages.pull.watch import MAX_HOPS, Redirects
from kbsync.stages.release.promote import current_number
from kbsync.views.lens import LENS, LensView, lens_views
from kbsync.views.model_answers import HeldView, VerdictView, held_views, verdict_view
from kbsync.views.status import left_out, probed_model
from kbsync.views.wording import statement_text, value_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One change of one statement."""

    seen_at: datetime
    """When a pull found it."""
    revision: int
    """The item's revision that brought it."""
    statement_id: str
    before: str | None
    """The statement in words; null where it appeared."""
    after: str | None
    """The statement in words; null where it disappeared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """What a fact's statements say."""

    values: tuple[str, ...]
    """What holds, by name."""
    former: tuple[str, ...]
    """What held before, by name."""
    since: datetime
    """Since when it is unchanged."""
    revision: int
    """The item's revision that brought it."""
    references: int
    """Number of references of the statements that hold."""
    statement_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeliefView:
    """What was believed for a time."""

    since: datetime
    until: datetime | None
    """Null where it is still believed."""
    values: tuple[str, ...]
    revision: int
    how: str
    """`trusted` by the relation's rules, or by whose decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainView:
    """One fact from the source to the weights."""

    item: str
    label: str | None
    redirect_to: str | None
    """Where the item became a redirect: the item whose statements tell the fact now."""
    relation: str
    property: str
    history: tuple[ChangeView, ...]
    """Oldest first; with those of `redirect_to`."""
    observed: StateView
    """What the source says now."""
    believed: StateView | None
    """What was trusted last."""
    believed_at: datetime | None
    beliefs: tuple[BeliefView, ...]
    """Everything that was ever believed, oldest first."""
    trust: str
    """How far `observed` is believed."""
    trust_reason: str
    waiting_names: tuple[str, ...]
    """What the source calls the subject and the values, as far as it is not believed yet."""
    model: str | None
    """Fingerprint of the base that was probed last."""
    verdict: VerdictView | None
    quarantine: str | None
    """Why the fact is in quarantine; null where it is not."""
    decision: str | None
    """The pin or exclusion that holds now."""
    versions: tuple[HeldView, ...]
    lens: LensView | None
    """A second look at the fact where a version holds it and does not say it; null where nobody looked."""
    follows_from: tuple[str, ...] = ()
    """Of a consequence: the edited fact that it is written with, and the fact about the object, whose statements and
    beliefs are shown."""
    consequences: tuple[str, ...] = ()
    """What the current version holds that follows from it."""


def explain(tx: LedgerReader, item: ItemId, relation: Relation, now: datetime) -> ExplainView:
    """Raises ``NotFound`` for a fact that the ledger does not hold."""
    if relation.hops:
        return _consequence(tx, item, relation, now)
    key = FactKey(item, relation.property)
    record = tx.fact(key)
    if record is None:
        raise NotFound(
            f"The ledger holds no fact {item} {relation.property} ({relation.name}).",
            next_step=f"Is {item} among the subjects of relation {relation.name}? `kbsync pull` fetches all subjects.",
        )
    target = _redirect_target(tx, item)
    history = sorted(
        [change for subject in {item, target} for change in tx.statement_history(subject, relation.property)],
        key=lambda change: change.seq,
    )
    beliefs = tx.beliefs(key)
    states = [record.observed, *(belief.state for belief in beliefs)]
    labels = tx.labels(sorted({item, target, *_mentioned(states, history)}))
    names = Names(labels, relation.language)
    level, reason = trust(record.observed, relation.trust, Clocks(here=now, there=now))
    quarantined, decision = tx.quarantine().get(key), tx.decisions().get(key)
    model = probed_model(tx)
    return ExplainView(
        item=item,
        label=labels[item].label if item in labels else None,
        redirect_to=None if target == item else target,
        relation=relation.name,
        property=relation.property,
        history=tuple(_change(change, names) for change in history),
        observed=_state(record.observed, names),
        believed=_state(record.believed, names) if record.believed else None,
        believed_at=record.believed_at,
        beliefs=_beliefs(tx, key, beliefs, names),
        trust=level.value,
        trust_reason=reason,
        waiting_names=_waiting_names(tx, key, record),
        model=model,
        verdict=verdict_view(tx, record, relation, names, model),
        quarantine=quarantined.reason if quarantined else None,
        decision=str(decision) if decision else None,
        versions=held_views(tx, key, left_out(tx)),
        lens=lens_views(tx.audit(kind=LENS)).get(str(key)),
        consequences=_consequences(tx, key) if relation.implies else (),
    )


def _consequence(tx: LedgerReader, item: ItemId, relation: Relation, now: datetime) -> ExplainView:
    """A fact that is asked in two hops: explained by the fact about the object that it repeats."""
    key, (first, second) = FactKey(item, relation.property), relation.hops
    cause = FactKey(item, first.property)
    version = tx.version(current_number(tx))
    entry = tx.plan_entries(key).get(version.plan_hash) if version else None
    held = entry.request.follows_from if entry and entry.request else ()
    record = tx.fact(cause)
    values = record.believed.values if record and record.believed else ()
    if not held and len(values) != 1:
        raise NotFound(
            f"Nothing follows from {cause} ({first.name}): the ledger believes no single answer.",
            next_step=f"`kbsync explain {item} {first.name}` tells what it holds.",
        )
    told = held[-1] if held else FactKey(ItemId(values[0].text), second.property)
    about_object, label = explain(tx, told.subject, second, now), tx.labels([item]).get(item)
    quarantined = tx.quarantine([key]).get(key)
    return replace(
        about_object,
        item=item,
        label=label.label if label else None,
        redirect_to=None,
        relation=relation.name,
        property=relation.property,
        verdict=None,
        quarantine=quarantined.reason if quarantined else None,
        decision=None,
        versions=held_views(tx, key, left_out(tx)),
        lens=lens_views(tx.audit(kind=LENS)).get(str(key)),
        follows_from=(str(cause), str(told)),
        consequences=(),
    )


def _consequences(tx: LedgerReader, cause: FactKey) -> tuple[str, ...]:
    """What the current version holds that follows from a fact."""
    version = tx.version(current_number(tx))
    planned = tx.plan(version.plan_hash) if version else None
    requests = planned.requests if planned else ()
    return tuple(f"{r.key}: {r.target}" for r in requests if r.follows_from[:1] == (cause,))


def _waiting_names(tx: NameReader, key: FactKey, record: FactRecord) -> tuple[str, ...]:
    states = [record.observed, *([record.believed] if record.believed else [])]
    pending = tx.pending_names(sorted({item for state in states for item in items_of(key, state)}))
    return tuple(
        f"{item} is called {entry.names.label!r} since {entry.standing.here:%Y-%m-%d %H:%M}"
        + (f", also {', '.join(map(repr, entry.names.aliases))}" if entry.names.aliases else "")
        for item, entry in sorted(pending.items())
    )


def _redirect_target(tx: StatementReader, item: ItemId) -> ItemId:
    """The end of the item's chain of redirects; the item itself where it is none."""
    redirects, unresolved = Redirects(), [item]
    for _ in range(MAX_HOPS):
        heads = tx.heads(unresolved)
        redirects.note(heads)
        unresolved = [head.redirect_to for head in heads.values() if head.redirect_to]
        if not unresolved:
            break
    return redirects.resolve(item)


def _state(state: FactState, names: Names) -> StateView:
    return StateView(
        values=tuple(value_text(v, names) for v in state.values),
        former=tuple(value_text(v, names) for v in state.former),
        since=state.since,
        revision=state.revision,
        references=state.references,
        statement_ids=state.statement_ids,
    )


def _change(change: StatementChange, names: Names) -> ChangeView:
    return ChangeView(
        seen_at=change.seen_at,
        revision=change.revision,
        statement_id=change.statement_id,
        before=statement_text(change.before, names) if change.before else None,
        after=statement_text(change.after, names) if change.after else None,
    )


def _mentioned(states: Iterable[FactState], history: Iterable[StatementChange]) -> set[ItemId]:
    values = [v for state in states for v in (*state.values, *state.former)]
    values += [s.value for c in history for s in (c.before, c.after) if s and s.value]
    return {item for v in values for item in mentioned_items(v)}


def _beliefs(tx: AuditReader, key: FactKey, beliefs: Sequence[Belief], names: Names) -> tuple[BeliefView, ...]:
    decided = {
        event.at: f"{word} by {event.actor}" + (f": {event.body['reason']}" if event.body.get("reason") else "")
        for kind, word in (("fact approve", "approved"), ("fact pin", "pinned"))
        for event in tx.audit(kind=kind)
        if event.body["fact"] == str(key)
    }
    ends = [*(belief.at for belief in beliefs[1:]), None]
    return tuple(
        BeliefView(
            since=belief.at,
            until=end,
            values=tuple(value_text(v, names) for v in belief.state.values),
            revision=belief.state.revision,
            how=decided.get(belief.at, "trusted"),
        )
        for belief, end in zip(beliefs, ends, strict=False)
    )
