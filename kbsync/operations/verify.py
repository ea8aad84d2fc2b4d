"""Checks that every stored byte is what it was when it was written: versions, artifacts, and both hash chains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbsync.bootstrap import App
from kbsync.checkpoints.recording_store import with_derived
from kbsync.domain.errors import KbsyncError, NotFound, StoreError
from kbsync.domain.version import CURRENT, Manifest, Version
from kbsync.operations.chains import AUDIT_TRAIL, ChainCheck, check_chains
from kbsync.stages.release.promote import current_version
from kbsync.views.status import built_version

if TYPE_CHECKING:
    from kbsync.checkpoints.artifacts import FileArtifactStore
    from kbsync.checkpoints.store import FileCheckpointStore
    from kbsync.ports import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemView:
    """Something that is not as it was written."""

    where: str
    """A file, or `audit trail`, `statement history` or `ledger`."""
    what: str
    """What is wrong with it, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationView:
    """How much was hashed again, and what was found."""

    versions: int
    """Number of versions with their weights."""
    explanations: int
    """Number of manifests of removed versions."""
    artifacts: int
    missing: int
    """Number of artifacts that went into a version and are not stored any more: they can be computed again, so this is
    no damage."""
    bytes: int
    """Size of all these files."""
    events: int
    """Number of audit events."""
    problems: tuple[ProblemView, ...]


@dataclass
class _Findings:
    """What was read and what is wrong so far."""

    problems: list[ProblemView] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)
    bytes: int = 0

    def add(self, where: object, error: str | KbsyncError) -> None:
        self.problems.append(ProblemView(where=str(where), what=error if isinstance(error, str) else error.what))


def verify(app: App, number: int | None = None) -> VerificationView:
    """Hash again what is stored.

    Args:
        number: A version, which is checked with the artifacts that went into it; None: everything.

    Raises:
        NotFound: The version is not built.
    """
    with app.ledger.read() as tx:
        if number is not None:
            built_version(tx, number)
        chains, current = check_chains(tx, app.settings.state_dir), current_version(tx)
        moved = tx.alias(CURRENT) is not None
    versions = chains.versions
    findings = _Findings()
    for where, what in chains.problems:
        findings.add(where, what)
    known = {v.version_hash: v for v in versions if v.version_hash and number in (None, v.number)}
    stored, removed = app.store.hashes(), app.store.removed()
    hashes = sorted({*known, *stored, *removed}) if number is None else list(known)
    _versions(app.store, hashes, known, chains, findings, app.work)
    digests = _recorded_digests(app.store, {*stored, *removed}, findings.manifests)
    used = {name for manifest in findings.manifests for name in manifest.artifacts}
    present = app.artifacts.names()
    needed = {name for manifest in findings.manifests for name in with_derived(manifest.artifacts)}
    chosen = [name for name in present if number is None or name in needed]
    _artifacts(app.artifacts, chosen, digests, findings, app.work)
    if moved and versions and number in (None, current.number if current else 0):
        for path, what in app.current_link.problems(current, (current or versions[-1]).base_fingerprint):
            findings.add(path, what)
    return VerificationView(
        versions=len(set(hashes) & set(stored)),
        explanations=len(set(hashes) & set(removed)),
        artifacts=len(chosen),
        missing=len(used - set(present)),
        bytes=findings.bytes,
        events=chains.events,
        problems=tuple(findings.problems),
    )


def _versions(
    store: FileCheckpointStore,
    hashes: Sequence[str],
    known: Mapping[str, Version],
    chains: ChainCheck,
    findings: _Findings,
    work: Work,
) -> None:
    """Hash the versions' files again, and compare what they say with the ledger."""
    work.start("verify versions", len(hashes))
    for version_hash in hashes:
        files = store.files(version_hash)
        try:
            manifest = store.manifest(version_hash)
            findings.manifests.append(manifest)
            store.verify(version_hash)
        except NotFound:
            where = store.directory(version_hash)
            findings.add(where, f"Version {known[version_hash].number} is in the ledger, and its files are gone.")
        except StoreError as error:
            # The message begins with the file that is wrong, or with "Reading" and the file that can't be read.
            findings.add(next((f for f in files if str(f) in error.what), store.directory(version_hash)), error)
        else:
            findings.bytes += sum(f.size() for f in files)
            row = known.get(version_hash)
            if row and (row.build_hash, row.base_fingerprint) != (manifest.build_hash, manifest.base_fingerprint):
                findings.add("ledger", f"Version {row.number} is another build there than its manifest says.")
            if not chains.holds(manifest.audit_head):
                anchor = f"event {manifest.audit_head[:12]}, which the trail does not hold"
                findings.add(AUDIT_TRAIL, f"{files[0]} is anchored to {anchor}.")
        work.advance()
    work.finish()


def _recorded_digests(
    store: FileCheckpointStore, hashes: Iterable[str], manifests: Iterable[Manifest]
) -> Mapping[str, Mapping[str, str]]:
    """By artifact, the content hashes that manifests name, each with a version that was built with it.

    There can be several: a target vector that was lost and computed again may differ in its last bits.
    """
    known = {manifest.version_hash: manifest for manifest in manifests}
    for version_hash in set(hashes) - set(known):
        try:
            known[version_hash] = store.manifest(version_hash)
        except KbsyncError:
            continue  # its damage is named already, or it was not asked for
    digests: dict[str, dict[str, str]] = defaultdict(dict)
    for version_hash, manifest in sorted(known.items()):
        for name, digest in manifest.artifacts.items():
            digests[name][digest] = version_hash
    return digests


def _artifacts(
    artifacts: FileArtifactStore,
    names: Sequence[str],
    digests: Mapping[str, Mapping[str, str]],
    findings: _Findings,
    work: Work,
) -> None:
    work.start("verify artifacts", len(names))
    for name in names:
        entry = artifacts.entry(name)
        try:
            digest = artifacts.digest(name)
            findings.bytes += entry.size()
        except StoreError as error:
            findings.add(entry, error)
        else:
            if name in digests and digest not in digests[name]:
                version = next(iter(digests[name].values()))
                findings.add(entry, f"{entry} holds other content than version {version[:12]} was built with.")
        work.advance()
    work.finish()
