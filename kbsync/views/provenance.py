"""Where a version's facts come from, and what two versions differ in; from manifests and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.errors import NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest, difference
from kbsync.domain.verdict import Verdict
from kbsync.domain.version import Manifest, Version
from kbsync.ports import CheckpointStore, LedgerReader
from kbsync.views.results import EntryView, entry_view


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """What version ``after`` holds that ``before`` does not, and the other way round (0: the base, which holds
    nothing). ``same_base`` and ``same_recipe`` are null where one of them is the base."""

    before: int
    after: int
    same_base: bool | None
    same_recipe: bool | None
    kept: int
    changes: tuple[EntryView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameView:
    """One fact of a version. ``revision`` of the item and ``statements`` brought the answer, first seen at ``seen_at``
    (null where the ledger's history begins later) and believed at ``believed_at`` (null where another answer is believed
    by now); ``since`` is the version that took it in, by plan ``plan``; ``verdict`` is what the base was found to
    believe, with its answer ``base_said`` (null where the ledger holds no verdict for that answer)."""

    subject: str
    property: str
    label: str
    answer: str
    revision: int
    revision_url: str
    statements: tuple[str, ...]
    seen_at: datetime | None
    believed_at: datetime | None
    since: int
    plan: str
    verdict: str | None
    base_said: str | None


def diff(tx: LedgerReader, store: CheckpointStore, before: int, after: int) -> DiffView:
    """Raises ``NotFound`` for a version that is not built; removed ones are still explained."""
    old, new = (_manifest(tx, store, number) if number else None for number in (before, after))
    was, now = (m.requests if m else () for m in (old, new))
    changes = difference(was, now)
    return DiffView(
        before=before,
        after=after,
        same_base=old.base_fingerprint == new.base_fingerprint if old and new else None,
        same_recipe=old.recipe.fingerprint == new.recipe.fingerprint if old and new else None,
        kept=len({r.key for r in now} - {e.key for e in changes}),
        changes=tuple(entry_view(entry) for entry in changes),
    )


def blame(tx: LedgerReader, store: CheckpointStore, number: int) -> tuple[BlameView, ...]:
    """Every fact of version ``number`` back to where it comes from; raises as ``diff`` does."""
    version, manifest = _version(tx, number), _manifest(tx, store, number)
    since = _since(tx, version, manifest)
    verdicts = {(k.fact, k.value_hash): v for k, v in tx.verdicts(version.base_fingerprint).items()}
    return tuple(
        _fact(tx, request, since[request.key], verdicts.get((request.key, request.value_hash)))
        for request in sorted(manifest.requests, key=lambda r: r.key)
    )


def _fact(tx: LedgerReader, request: EditRequest, since: Version, verdict: Verdict | None) -> BlameView:
    item, prop = request.key
    brought = (
        c for c in tx.statement_history(item, prop) if c.statement_id in request.statement_ids and c.after is not None
    )
    seen = [c.seen_at for c in brought if c.revision <= request.revision]
    record = tx.fact(request.key)
    believed = record.believed if record else None
    return BlameView(
        subject=item,
        property=prop,
        label=request.subject,
        answer=request.target,
        revision=request.revision,
        revision_url=f"https://www.wikidata.org/w/index.php?title={item}&oldid={request.revision}",
        statements=request.statement_ids,
        seen_at=max(seen, default=None),
        believed_at=record.believed_at if record and believed and believed.value_hash == request.value_hash else None,
        since=since.number,
        plan=since.plan_hash,
        verdict=verdict.kind.value if verdict else None,
        base_said=verdict.evidence.greedy if verdict else None,
    )


def _since(tx: LedgerReader, version: Version, manifest: Manifest) -> Mapping[FactKey, Version]:
    """By fact, the first version of the unbroken line up to ``version`` that holds it as it is there."""
    since = {request.key: version for request in manifest.requests}
    wanted, earlier = {r.key: r.id for r in manifest.requests}, tx.version(version.predecessor)
    while earlier is not None and wanted:
        planned = tx.plan(earlier.plan_hash)
        held = {r.key: r.id for r in planned.requests} if planned else {}
        wanted = {key: id for key, id in wanted.items() if held.get(key) == id}
        since |= dict.fromkeys(wanted, earlier)
        earlier = tx.version(earlier.predecessor)
    return since


def _version(tx: LedgerReader, number: int) -> Version:
    version = tx.version(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    return version


def _manifest(tx: LedgerReader, store: CheckpointStore, number: int) -> Manifest:
    return store.manifest(_version(tx, number).version_hash or "")
