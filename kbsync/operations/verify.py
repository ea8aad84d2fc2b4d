"""Is every stored byte what it was when it was written? Versions, artifacts, and the audit trail that they anchor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbsync.bootstrap import App
from kbsync.domain.errors import KbsyncError, NotFound, StoreError
from kbsync.domain.version import CURRENT, Manifest, Version
from kbsync.operations.chains import AUDIT_TRAIL, Trails, trails
from kbsync.stages.release.promote import current_version

if TYPE_CHECKING:
    from kbsync.checkpoints.artifacts import FileArtifactStore
    from kbsync.checkpoints.store import FileCheckpointStore
    from kbsync.ports import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemView:
    """``where``: the file, or ``audit trail``, ``statement history`` or ``ledger``; ``what`` is wrong with it, in a sentence."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationView:
    """What was hashed again: ``versions`` with their weights, ``explanations`` (manifests of removed versions),
    ``artifacts``, ``bytes`` of all these files, audit ``events``. ``missing`` artifacts went into a version and are not
    stored any more: they can be computed again, and are no damage."""

    versions: int
    explanations: int
    artifacts: int
    missing: int
    bytes: int
    events: int
    problems: tuple[ProblemView, ...]


@dataclass
class _Findings:
    problems: list[ProblemView] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)
    bytes: int = 0

    def add(self, where: object, error: str | KbsyncError) -> None:
        self.problems.append(ProblemView(where=str(where), what=error if isinstance(error, str) else error.what))


def verify(app: App, number: int | None = None) -> VerificationView:
    """Version ``number`` with the artifacts that went into it, or everything that is stored.

    Raises ``NotFound`` for a version that is not built.
    """
    with app.ledger.read() as tx:
        chains, current = trails(tx, app.settings.state_dir), current_version(tx)
        moved = tx.alias(CURRENT) is not None
    versions = chains.versions
    if number is not None and not any(v.number == number and v.version_hash for v in versions):
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    found = _Findings()
    for where, what in chains.problems:
        found.add(where, what)
    known = {v.version_hash: v for v in versions if v.version_hash and number in (None, v.number)}
    stored, removed = app.store.hashes(), app.store.removed()
    hashes = sorted({*known, *stored, *removed}) if number is None else list(known)
    _versions(app.store, hashes, known, chains, found, app.work)
    wanted = _wanted(app.store, {*stored, *removed}, found.manifests)
    names = {n for m in found.manifests for n in m.artifacts}
    present = app.artifacts.names()
    chosen = [n for n in present if number is None or n in names]
    _artifacts(app.artifacts, chosen, wanted, found, app.work)
    if moved and versions and number in (None, current.number if current else 0):
        for path, what in app.published.problems(current, (current or versions[-1]).base_fingerprint):
            found.add(path, what)
    return VerificationView(
        versions=len(set(hashes) & set(stored)),
        explanations=len(set(hashes) & set(removed)),
        artifacts=len(chosen),
        missing=len(names - set(present)),
        bytes=found.bytes,
        events=len(chains.events),
        problems=tuple(found.problems),
    )


def _versions(
    store: FileCheckpointStore,
    hashes: Sequence[str],
    known: Mapping[str, Version],
    chains: Trails,
    found: _Findings,
    work: Work,
) -> None:
    """Hash the versions' files again, and compare what they say with the ledger."""
    work.start("verify versions", len(hashes))
    for version_hash in hashes:
        files = store.files(version_hash)
        try:
            manifest = store.manifest(version_hash)
            found.manifests.append(manifest)
            store.verify(version_hash)
        except NotFound:
            where = store.directory(version_hash)
            found.add(where, f"Version {known[version_hash].number} is in the ledger, and its files are gone.")
        except StoreError as error:
            # The message begins with the file that is wrong, or with "Reading" and the file that can't be read.
            found.add(next((f for f in files if str(f) in error.what), store.directory(version_hash)), error)
        else:
            found.bytes += sum(f.size() for f in files)
            row = known.get(version_hash)
            if row and (row.build_hash, row.base_fingerprint) != (manifest.build_hash, manifest.base_fingerprint):
                found.add("ledger", f"Version {row.number} is another build there than its manifest says.")
            if not chains.holds(manifest.audit_head):
                said = f"is anchored to event {manifest.audit_head[:12]}, which the trail does not hold"
                found.add(AUDIT_TRAIL, f"{files[0]} {said}.")
        work.advance()
    work.finish()


def _wanted(
    store: FileCheckpointStore, hashes: Iterable[str], manifests: Iterable[Manifest]
) -> Mapping[str, Mapping[str, str]]:
    """By artifact, its content hashes, each with a version that was built with it.

    There can be several: a target vector that was lost and computed again may differ in its last bits.
    """
    everything = {m.version_hash: m for m in manifests}
    for version_hash in set(hashes) - set(everything):
        try:
            everything[version_hash] = store.manifest(version_hash)
        except KbsyncError:
            continue  # it is named already, or was not asked for
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for version_hash, manifest in sorted(everything.items()):
        for name, digest in manifest.artifacts.items():
            wanted[name][digest] = version_hash
    return wanted


def _artifacts(
    artifacts: FileArtifactStore,
    names: Sequence[str],
    wanted: Mapping[str, Mapping[str, str]],
    found: _Findings,
    work: Work,
) -> None:
    work.start("verify artifacts", len(names))
    for name in names:
        entry = artifacts.entry(name)
        try:
            digest = artifacts.digest(name)
            found.bytes += entry.size()
        except StoreError as error:
            found.add(entry, error)
        else:
            if name in wanted and digest not in wanted[name]:
                version = next(iter(wanted[name].values()))
                found.add(entry, f"{entry} holds other content than version {version[:12]} was built with.")
        work.advance()
    work.finish()
