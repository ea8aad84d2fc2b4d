"""Consequences: what is written beside an edited fact, as it follows from it and from a fact about its object.

If the head of government of a country changes, so does the spouse of the head of government of that country.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from kbsync.domain.conflicts import conflicts
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import LISTED, OVER_LIMIT, EditPlan, EditRequest, PlanEntry, Refusal, compare
from kbsync.domain.relation import Relation
from kbsync.domain.statement import PropertyId


def two_hop_relations(relations: Sequence[Relation]) -> tuple[Relation, ...]:
    """The relations that are asked in two hops, as far as both hops are watched: ``P6/P26`` for ``P6`` and ``P26``."""
    by_name = {relation.name: relation for relation in relations}
    return tuple(
        Relation(
            name=f"{first.name}/{second.name}",
            property=PropertyId(f"{first.property}/{second.property}"),
            label=f"{second.label} of the {first.label}",
            phrasings=implied.phrasings,
            cardinality=second.cardinality,
            language=first.language,
            frames=first.frames,
            hops=(first, second),
        )
        for first in relations
        for implied in first.implies
        if (second := by_name.get(implied.relation)) is not None
    )


def with_consequences(
    plan: EditPlan,
    following: Iterable[EditRequest],
    held: Mapping[FactKey, EditRequest],
    *,
    quarantined: Mapping[FactKey, str],
    gone: Mapping[FactKey, str],
    limit: int | None,
) -> EditPlan:
    """Add to a plan of facts what follows from them; without consequences the plan stays as it is.

    Facts come first: a consequence is dropped where there is no room for it, and where one of the facts has the same
    prompt and another answer. Of two consequences with the same prompt and different answers both are.

    Args:
        plan: What is planned with the facts alone.
        following: The consequences of facts. Those of facts that the plan does not write are passed over.
        held: The consequences that ``current`` holds.
        quarantined: Why consequences are in quarantine.
        gone: Why consequences don't follow any more.
        limit: Largest number of facts in one version, with consequences (None: any number).
    """
    written = {request.key: request for request in plan.requests}
    requests = {request.key: request for request in following if request.follows_from[0] in written}
    refused = conflicts(requests, written, ())
    refused |= {key: f"quarantined: {reason}" for key, reason in quarantined.items() if key in requests}
    ranked = [key for key in sorted(requests, key=lambda k: (k not in held, k)) if key not in refused]
    beyond = _beyond(ranked, limit, len(written))
    kept = {key: request for key, request in requests.items() if key not in refused and key not in beyond}
    gone = {key: _why_gone(held[key], plan, gone) for key in held if key not in requests} | refused | beyond
    entries = list(plan.entries)
    for key in kept.keys() | held.keys():
        change, reason = compare(kept.get(key), held.get(key), gone.get(key, ""))
        entry = PlanEntry(key=key, change=change, request=kept.get(key), previous=held.get(key), reason=reason)
        entries.append(entry)
    listed = refused | dict(list(beyond.items())[:LISTED])
    return replace(
        plan,
        entries=tuple(sorted(entries, key=lambda entry: entry.key)),
        refused=tuple(
            sorted(
                [*plan.refused, *(Refusal(key=key, reason=reason) for key, reason in listed.items())],
                key=lambda refusal: refusal.key,
            )
        ),
        unlisted=plan.unlisted + max(0, len(beyond) - LISTED),
    )


def _beyond(ranked: Sequence[FactKey], limit: int | None, facts: int) -> dict[FactKey, str]:
    """Why consequences have no room beside so many facts; those that ``current`` holds come first."""
    if limit is None:
        return {}
    reason = f"{OVER_LIMIT} of {limit} facts in one version, in which facts come before their consequences"
    return dict.fromkeys(ranked[max(0, limit - facts) :], reason)


def _why_gone(request: EditRequest, plan: EditPlan, gone: Mapping[FactKey, str]) -> str:
    """Why a consequence is not held any more: its cause is not written, or it does not follow from it any more."""
    cause = request.follows_from[0]
    if any(written.key == cause for written in plan.requests):
        return gone.get(request.key) or "no longer implied"
    reasons = {entry.key: entry.reason for entry in plan.entries} | {one.key: one.reason for one in plan.refused}
    why = reasons.get(cause)
    return f"its cause {cause} is not written" + (f": {why}" if why else "")
