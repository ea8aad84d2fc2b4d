"""The edit plan: data one can print, diff and approve; made by a pure function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from kbsync.domain.canonical import content_hash, later
from kbsync.domain.conflicts import RightFact, conflicts
from kbsync.domain.fact import FactKey
from kbsync.domain.rewrite import Preserved, Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequest(Rewrite):
    """A rewrite with its provenance. Editors see the rewrite only, and its ``id`` covers nothing else."""

    key: FactKey
    """The fact: subject and property on Wikidata."""
    value_hash: str
    """Hash of the value that is written; a label that changes does not change it."""
    revision: int
    """Wikidata's revision of the subject's item that the value was read from."""
    statement_ids: tuple[str, ...] = ()
    """The statements that hold the value."""
    base_answer: str = ""
    """What the base answered when it was asked."""
    follows_from: tuple[FactKey, ...] = later(())
    """Of a consequence: the edited fact that it is written with, and the fact about the object that it repeats."""

    @property
    def told_by(self) -> FactKey:
        """The fact whose statements hold the value, and whose item ``revision`` is of."""
        return self.follows_from[-1] if self.follows_from else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard(Preserved):
    """A watched fact that the base has right and that no edit may move (ADR 0005)."""

    key: FactKey
    """The fact: subject and property on Wikidata."""


class Change(StrEnum):
    """What a plan does with a fact, compared with what ``current`` holds."""

    ADD = "add"
    CHANGE = "change"
    RETRACT = "retract"
    """The next version no longer holds it."""
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """One fact of a plan."""

    key: FactKey
    change: Change
    request: EditRequest | None
    """What the next version holds; None where the fact is retracted."""
    previous: EditRequest | None
    """What ``current`` holds; None where the fact is added."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A fact that the base has wrong and that is not written all the same."""

    key: FactKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCounts:
    """A plan in numbers of facts."""

    predecessor: int
    """The version that was current when it was made; 0: the base."""
    add: int
    change: int
    retract: int
    keep: int
    refused: int
    guards: int
    """Facts that the base has right and that the edit is to leave so."""

    @property
    def held(self) -> int:
        """Facts of the version that is built from it."""
        return self.add + self.change + self.keep


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPlan:
    """All facts of the next version, and how they differ from those of the current one."""

    base_fingerprint: str
    recipe_fingerprint: str
    predecessor: int
    """The version that ``current`` points to; 0: the base."""
    entries: tuple[PlanEntry, ...]
    """Sorted by key."""
    refused: tuple[Refusal, ...] = ()
    """Sorted by key."""
    guards: tuple[Guard, ...] = ()
    unlisted: int = later(0)
    """So many more facts are over the limit than ``refused`` names."""

    @property
    def counts(self) -> PlanCounts:
        """The plan in numbers of facts."""
        by_change = Counter(entry.change for entry in self.entries)
        return PlanCounts(
            predecessor=self.predecessor,
            add=by_change[Change.ADD],
            change=by_change[Change.CHANGE],
            retract=by_change[Change.RETRACT],
            keep=by_change[Change.KEEP],
            refused=len(self.refused) + self.unlisted,
            guards=len(self.guards),
        )

    @property
    def requests(self) -> tuple[EditRequest, ...]:
        """What the next version holds, by key."""
        return tuple(e.request for e in self.entries if e.request is not None)

    @property
    def changes(self) -> tuple[PlanEntry, ...]:
        """Everything that does not stay as it is."""
        return tuple(e for e in self.entries if e.change is not Change.KEEP)

    @property
    def build_hash(self) -> str:
        """Identifies the version that this plan builds: base, facts, guards and recipe, whatever came before."""
        written = (r.id for r in self.requests)
        return build_hash(self.base_fingerprint, self.recipe_fingerprint, written, self.guards)


OVER_LIMIT = "over the limit"
"""So the reason of a refusal begins where there is merely no room: nothing is said against the fact."""
LISTED = 100
"""So many facts that are over the limit are named in a plan; the others are counted."""


class FactNames(NamedTuple):
    """The names of a fact, as they are believed."""

    subject: tuple[str, ...]
    answers: tuple[str, ...]
    """Of all right answers."""


def build_hash(base: str, recipe: str, requests: Iterable[str], guards: Iterable[Guard]) -> str:
    """Identify what is built from a base and a recipe (their fingerprints), the ids of requests, and guards."""
    return content_hash([base, recipe, sorted(requests), sorted(g.id for g in guards)])


def make_plan(
    wanted: Iterable[EditRequest],
    active: Mapping[FactKey, EditRequest],
    *,
    base_fingerprint: str,
    recipe_fingerprint: str,
    predecessor: int,
    quarantined: Mapping[FactKey, str] | None = None,
    excluded: Mapping[FactKey, str] | None = None,
    gone: Mapping[FactKey, str] | None = None,
    guards: Sequence[Guard] = (),
    limit: int | None = None,
    suspect: Mapping[FactKey, str] | None = None,
    names: Mapping[FactKey, FactNames] | None = None,
    right: Iterable[RightFact] = (),
    further: Mapping[FactKey, str] | None = None,
    behind: int = 0,
) -> EditPlan:
    """Compare what has to be written with what ``current`` holds.

    The same arguments give the same plan. Of two requests with the same prompt and different targets the one that
    ``current`` does not hold yet is refused, or both. A fact whose new words are refused stays in its old ones.

    Args:
        wanted: The facts that have to be written.
        active: The facts that ``current`` holds, by key.
        base_fingerprint: The base that the next version is an edit of.
        recipe_fingerprint: The recipe that it is built with.
        predecessor: The version that ``current`` points to; 0: the base.
        quarantined: Why facts are in quarantine.
        excluded: Why people want facts left out.
        gone: Why facts of ``active`` are not in ``wanted`` any more.
        guards: Facts that the edit guards.
        limit: Largest number of facts in one version (None: any number). Those that ``current`` holds come first, and
            those beyond the limit are refused.
        suspect: Why a person should look at facts first.
        names: By fact, the names that are right today; where a fact is left out, what is held of it counts as right.
        right: Facts that the base has right.
        further: Why facts are refused that are not in ``wanted``, since nothing else of them is needed.
        behind: So many more facts have to be written that are behind the limit, and behind all of ``wanted`` by key.
    """
    quarantined, gone = quarantined or {}, gone or {}
    requests = {r.key: kept(r, active.get(r.key), (names or {}).get(r.key)) for r in wanted}
    held = {k: active[k] for k, r in requests.items() if k in active and active[k].value_hash == r.value_hash}
    waits = conflicts(requests, held, right)
    requests |= {key: held[key] for key in waits if key in held}
    refused = {key: reason for key, reason in waits.items() if key not in held}
    refused |= {key: f"quarantined: {reason}" for key, reason in quarantined.items() if key in requests}
    refused |= {key: reason for key, reason in (suspect or {}).items() if key in requests}
    refused |= {key: reason for key, reason in (excluded or {}).items() if key in requests}
    beyond = _beyond([k for k in sorted(requests, key=lambda k: (k not in active, k)) if k not in refused], limit)
    refused |= beyond
    entries = []
    for key in sorted(set(requests) | set(active)):
        request = None if key in refused else requests.get(key)
        previous = active.get(key)
        if request is None and previous is None:
            continue
        change, reason = compare(request, previous, refused.get(key) or gone.get(key) or "no longer wanted")
        entries.append(PlanEntry(key=key, change=change, request=request, previous=previous, reason=reason))
    refused |= {key: reason for key, reason in waits.items() if key not in refused}
    unlisted = list(beyond)[LISTED:]
    for key in unlisted:
        del refused[key]
    refused |= further or {}
    return EditPlan(
        base_fingerprint=base_fingerprint,
        recipe_fingerprint=recipe_fingerprint,
        predecessor=predecessor,
        entries=tuple(entries),
        refused=tuple(Refusal(key=k, reason=refused[k]) for k in sorted(refused)),
        guards=tuple(guards),
        unlisted=len(unlisted) + behind,
    )


def difference(before: Iterable[EditRequest], after: Iterable[EditRequest]) -> tuple[PlanEntry, ...]:
    """List the facts that ``after`` adds, changes or retracts against ``before``, by key."""
    old, new = {r.key: r for r in before}, {r.key: r for r in after}
    entries = []
    for key in sorted(old.keys() | new.keys()):
        change, reason = compare(new.get(key), old.get(key), "not held any more")
        if change is not Change.KEEP:
            entries.append(
                PlanEntry(key=key, change=change, request=new.get(key), previous=old.get(key), reason=reason)
            )
    return tuple(entries)


def compare(request: EditRequest | None, previous: EditRequest | None, gone: str) -> tuple[Change, str]:
    """What happens to a fact, and why; ``gone`` says why it is not held any more, where it is not."""
    if request is None:
        return Change.RETRACT, gone
    follows = f"follows from {' and '.join(map(str, request.follows_from))}" if request.follows_from else ""
    if previous is None:
        return Change.ADD, follows or f"the base says {request.base_answer.strip()!r}"
    if previous.id == request.id:
        return Change.KEEP, "unchanged"
    return Change.CHANGE, f"{previous.target!r} → {request.target!r}" + (f"; {follows}" if follows else "")


def _beyond(keys: Sequence[FactKey], limit: int | None) -> dict[FactKey, str]:
    if limit is None:
        return {}
    return dict.fromkeys(keys[limit:], f"{OVER_LIMIT} of {limit} facts in one version")


def kept(request: EditRequest, previous: EditRequest | None, names: FactNames | None) -> EditRequest:
    """What is held, if nothing has to be edited anew; else the request.

    Another name that is right as well, or another one of several right answers, is no reason to edit anew.
    """

    def written(one: EditRequest) -> tuple[object, ...]:
        return one.value_hash, one.template, one.end, one.phrasings

    if previous is None or written(request) != written(previous):
        return request
    named = names is None or (
        previous.subject in (request.subject, *names.subject) and previous.target in (request.target, *names.answers)
    )
    return previous if named else request
