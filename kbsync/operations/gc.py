"""Removes what the retention policy does not keep.

Four steps: an inventory, a judgement (which is pure: ``domain.retention``), the audit event, the removal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from kbsync.bootstrap import App
from kbsync.checkpoints.anchor import misfit
from kbsync.checkpoints.recording_store import with_derived
from kbsync.checkpoints.storage import Entry
from kbsync.domain.errors import StoreError
from kbsync.domain.retention import Judgement, RetentionPolicy, judge_age, judge_artifacts, judge_strays, judge_versions
from kbsync.domain.version import CURRENT, Manifest, Version, VersionState
from kbsync.stages.notify import count_waiting
from kbsync.stages.session import Writer, writer


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingView:
    """One thing that is stored, and what becomes of it."""

    kind: str
    """`version`, `stray` (a stored version that no row of the ledger names), `artifact`, `published` (a copy that the
    path `current` has left) or `leftover` (unfinished or set aside)."""
    name: str
    """A version's number, an artifact's `kind/key`, or a path."""
    keep: bool
    reasons: tuple[str, ...]
    """Why it is kept or removed."""
    bytes: int
    """Its size on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcView:
    """Everything that was looked at."""

    dry_run: bool
    """Nothing was removed."""
    removed: int
    """Number of things that were removed, or would be."""
    bytes: int
    """Their size."""
    things: tuple[ThingView, ...]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A thing with its files, and how to remove it."""

    kind: str
    name: str
    judgement: Judgement
    entries: tuple[Entry, ...]
    remove: Callable[[], None]


def gc(app: App, policy: RetentionPolicy, *, dry_run: bool) -> GcView:
    """Remove what a policy does not keep.

    The decision is in the audit trail before anything is removed, so a kill leaves nothing unexplained; the next gc
    decides the same and goes on.

    Args:
        dry_run: Say what would be removed, and remove nothing; needs no lease.

    Raises:
        Busy: Another process is writing.
        StoreError: The ledger is another one than wrote what is stored here.
    """
    with ExitStack() as held:
        lease = None
        if not dry_run:
            lease = held.enter_context(writer(app.run, app.settings.lease.ttl))
            held.enter_context(app.anchored())
        _require_own_ledger(app)
        things = list(_judged(app, policy, app.clock.now(), holds_lease=lease is not None))
        views = tuple(_view(thing) for thing in things)
        doomed = [thing for thing in things if not thing.judgement.keep]
        freed = sum(v.bytes for v in views if not v.keep)
        if lease is not None and doomed:
            _record(app, lease, doomed, freed)
            lease.run.work.start("gc", len(doomed))
            for thing in doomed:
                thing.remove()
                lease.run.work.advance()
            lease.run.work.finish()
    return GcView(dry_run=dry_run, removed=len(doomed), bytes=freed, things=views)


def _require_own_ledger(app: App) -> None:
    """Raise ``StoreError`` where the anchor does not fit the ledger: to another ledger, all versions are strays."""
    with app.ledger.read() as tx:
        what = misfit(app.settings.state_dir, tx)
    if what:
        raise StoreError(
            f"This may not be the ledger that wrote what is stored here: {what}.",
            kept="Nothing was removed.",
            next_step="`kbsync audit verify` examines it. If you know why, as after a restore: `kbsync audit accept`.",
        )


def _record(app: App, held: Writer, doomed: list[_Thing], freed: int) -> None:
    """The decision, in one transaction with the proof that this process still holds the lease."""
    now = app.clock.now()
    body = {
        "versions": {t.name: list(t.judgement.reasons) for t in doomed if t.kind == "version"},
        "strays": [t.name for t in doomed if t.kind == "stray"],
        "artifacts": [t.name for t in doomed if t.kind == "artifact"],
        "published": [t.name for t in doomed if t.kind == "published"],
        "leftovers": [t.name for t in doomed if t.kind == "leftover"],
        "bytes": freed,
    }
    with app.ledger.write() as tx:
        tx.renew_lease(held.lease, app.settings.lease.ttl, now)
        tx.append_audit("gc", app.actor, body, now)


def _judged(app: App, policy: RetentionPolicy, now: datetime, *, holds_lease: bool) -> Iterator[_Thing]:
    with app.ledger.read() as tx:
        versions = tx.versions()
        positions = {CURRENT: [move.number for move in tx.alias_moves(CURRENT)]}
    judged = judge_versions(versions, positions, policy, now)
    stored = set(app.store.hashes())
    present = [v for v in versions if v.version_hash in stored]
    yield from _versions(app, present, judged)
    yield from _strays(app, versions, stored - {v.version_hash for v in versions}, policy, now)
    needed = {v.number: _needs(app, v) for v in present if judged[v.number].keep}
    written = {name: app.artifacts.entry(name).modified() for name in app.artifacts.names()}
    for name, judgement in judge_artifacts(written, needed, policy, now).items():
        entry = app.artifacts.entry(name)
        yield _Thing("artifact", name, judgement, (entry,), partial(app.artifacts.remove, name))
    yield from _published(app, policy, now)
    yield from _leftovers(app, policy, now, holds_lease)


def _versions(app: App, versions: list[Version], judged: Mapping[int, Judgement]) -> Iterator[_Thing]:
    for version in versions:
        version_hash, judgement = version.version_hash or "", judged[version.number]
        if not judgement.keep and _manifest(app, version_hash) is None:
            judgement = Judgement(keep=True, reasons=("its manifest is damaged: `kbsync verify` names what is wrong",))
        entries = tuple(app.store.files(version_hash))
        yield _Thing("version", str(version.number), judgement, entries, partial(app.store.remove, version_hash))


def _strays(
    app: App, versions: list[Version], hashes: set[str], policy: RetentionPolicy, now: datetime
) -> Iterator[_Thing]:
    building = {v.build_hash: v.number for v in versions if v.state is VersionState.BUILDING}
    manifests = {version_hash: _manifest(app, version_hash) for version_hash in sorted(hashes)}
    builds = {version_hash: manifest.build_hash if manifest else None for version_hash, manifest in manifests.items()}
    written = {version_hash: app.store.directory(version_hash).modified() for version_hash in hashes}
    for version_hash, judgement in judge_strays(builds, building, written, policy, now).items():
        entries = tuple(app.store.files(version_hash))
        yield _Thing("stray", version_hash, judgement, entries, partial(app.store.remove_stray, version_hash))


def _needs(app: App, version: Version) -> tuple[str, ...] | None:
    """Names of the artifacts that the version was built with, and of those that follow from them; None where nothing
    tells."""
    manifest = _manifest(app, version.version_hash or "")
    return tuple(with_derived(manifest.artifacts)) or None if manifest else None


def _manifest(app: App, version_hash: str) -> Manifest | None:
    """None where it can't be read."""
    try:
        return app.store.manifest(version_hash)
    except StoreError:
        return None


def _leftovers(app: App, policy: RetentionPolicy, now: datetime, holds_lease: bool) -> Iterator[_Thing]:
    """What killed writes left, what was set aside as damaged, and what the path ``current`` led to before."""
    for entry in (*app.store.unfinished(), *app.artifacts.unfinished(), *app.current_link.unfinished()):
        yield _leftover(entry, Judgement(keep=not holds_lease, reasons=_unfinished_reasons(holds_lease)))
    for entry in (*app.store.damaged(), *app.artifacts.damaged()):
        yield _leftover(entry, judge_age(entry.modified(), policy, now, "it is damaged and was set aside"))


def _published(app: App, policy: RetentionPolicy, now: datetime) -> Iterator[_Thing]:
    """A server may still be reading what the path has left, above all one that was not told of the move."""
    waiting = count_waiting(app.run, app.notifiers)
    for entry in app.current_link.copies():
        judgement = Judgement(keep=True, reasons=(f"{app.current_link.link} leads to it",))
        if waiting and not app.current_link.in_use(entry):
            moves = f"{waiting} move{'s' if waiting > 1 else ''}"
            text = f"a notifier was not told of {moves}, and its server may still read it"
            judgement = Judgement(keep=True, reasons=(text,))
        elif not app.current_link.in_use(entry):
            judgement = judge_age(entry.modified(), policy, now, f"{app.current_link.link} has left it")
        yield replace(_leftover(entry, judgement), kind="published", name=entry.name)


def _unfinished_reasons(holds_lease: bool) -> tuple[str, ...]:
    if holds_lease:
        return ("a killed write left it",)
    return ("a write that is at work may need it; only the holder of the lease can tell",)


def _leftover(entry: Entry, judgement: Judgement) -> _Thing:
    return _Thing("leftover", str(entry), judgement, (entry,), entry.remove)


def _view(thing: _Thing) -> ThingView:
    taken = sum(entry.size() for entry in thing.entries)
    judged = thing.judgement
    return ThingView(kind=thing.kind, name=thing.name, keep=judged.keep, reasons=judged.reasons, bytes=taken)
