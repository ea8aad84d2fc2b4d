"""Where a version's facts come from, and how two versions differ; read from manifests and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest, difference
from kbsync.domain.verdict import Verdict
from kbsync.domain.version import Manifest, Version
from kbsync.ports import CheckpointStore, LedgerReader, NamedFactReader, VersionReader
from kbsync.views.results import EntryView, entry_view
from kbsync.views.status import built_version
from kbsync.views.wording import revision_url


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """How the facts of two versions differ."""

    before: int
    """0: the base, which holds no fact."""
    after: int
    """0: the base."""
    same_base: bool | None
    """Null where one of the two is the base."""
    same_recipe: bool | None
    """Null where one of the two is the base."""
    kept: int
    """Number of facts that both hold alike."""
    changes: tuple[EntryView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameView:
    """One fact of a version, and everything that led to it."""

    subject: str
    property: str
    label: str
    """The subject's name."""
    answer: str
    revision: int
    """The item's revision that brought the answer."""
    revision_url: str
    statements: tuple[str, ...]
    """Ids of the statements that say so."""
    seen_at: datetime | None
    """When they were first seen; null where the ledger's history begins later."""
    believed_at: datetime | None
    """When the answer was believed; null where another answer is believed by now."""
    since: int
    """The version that took the fact in."""
    plan: str
    """Hash of that version's plan."""
    verdict: str | None
    """What the base was found to believe; null where the ledger holds no verdict for this answer."""
    base_said: str | None
    """What the base answered; null where the ledger holds no verdict for this answer."""
    follows_from: tuple[str, ...]
    """Of a consequence: the edited fact and the fact about its object, whose revision and statements are shown."""


def diff(tx: VersionReader, store: CheckpointStore, before: int, after: int) -> DiffView:
    """Compare two versions by their manifests, which are also kept of removed versions.

    Args:
        before: A version's number; 0: the base.
        after: A version's number; 0: the base.

    Raises:
        NotFound: One of them is not built.
    """
    old, new = (_manifest(tx, store, number) if number else None for number in (before, after))
    old_requests, new_requests = (manifest.requests if manifest else () for manifest in (old, new))
    changes = difference(old_requests, new_requests)
    return DiffView(
        before=before,
        after=after,
        same_base=old.base_fingerprint == new.base_fingerprint if old and new else None,
        same_recipe=old.recipe.fingerprint == new.recipe.fingerprint if old and new else None,
        kept=len({r.key for r in new_requests} - {e.key for e in changes}),
        changes=tuple(entry_view(entry) for entry in changes),
    )


def blame(tx: LedgerReader, store: CheckpointStore, number: int) -> tuple[BlameView, ...]:
    """Every fact of a version, back to where it comes from.

    Raises:
        NotFound: The version is not built.
    """
    version, manifest = built_version(tx, number), _manifest(tx, store, number)
    since = _since(tx, version, manifest)
    verdicts = {(k.fact, k.value_hash): v for k, v in tx.verdicts(version.base_fingerprint).items()}
    return tuple(
        _fact(tx, request, since[request.key], verdicts.get((request.key, request.value_hash)))
        for request in sorted(manifest.requests, key=lambda r: r.key)
    )


def _fact(tx: NamedFactReader, request: EditRequest, since: Version, verdict: Verdict | None) -> BlameView:
    item, prop = request.told_by
    seen = [
        change.seen_at
        for change in tx.statement_history(item, prop)
        if change.statement_id in request.statement_ids
        and change.after is not None
        and change.revision <= request.revision
    ]
    record = tx.fact(request.told_by)
    believed = record.believed if record else None
    return BlameView(
        subject=request.key.subject,
        property=request.key.property,
        label=request.subject,
        answer=request.target,
        revision=request.revision,
        revision_url=revision_url(item, request.revision),
        statements=request.statement_ids,
        seen_at=max(seen, default=None),
        believed_at=record.believed_at if record and believed and believed.value_hash == request.value_hash else None,
        since=since.number,
        plan=since.plan_hash,
        verdict=verdict.kind.value if verdict else None,
        base_said=verdict.evidence.greedy if verdict else None,
        follows_from=tuple(map(str, request.follows_from)),
    )


def _since(tx: VersionReader, version: Version, manifest: Manifest) -> Mapping[FactKey, Version]:
    """By fact, the oldest of the predecessors without a gap that hold the fact just as ``version`` does."""
    since = {request.key: version for request in manifest.requests}
    unchanged, earlier = {r.key: r.id for r in manifest.requests}, tx.version(version.predecessor)
    while earlier is not None and unchanged:
        plan = tx.plan(earlier.plan_hash)
        requests = {r.key: r.id for r in plan.requests} if plan else {}
        unchanged = {key: id for key, id in unchanged.items() if requests.get(key) == id}
        since |= dict.fromkeys(unchanged, earlier)
        earlier = tx.version(earlier.predecessor)
    return since


def _manifest(tx: VersionReader, store: CheckpointStore, number: int) -> Manifest:
    return store.manifest(built_version(tx, number).version_hash or "")
