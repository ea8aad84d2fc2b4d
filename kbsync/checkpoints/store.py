"""Stored versions: one directory each, named by its version hash, immutable once it has that name."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbsync.checkpoints import evaluation_file
from kbsync.checkpoints import manifest as manifest_file
from kbsync.checkpoints.os_errors import explained
from kbsync.checkpoints.storage import Entry, Storage
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Evaluation, Manifest
from kbsync.ports import CheckpointStore, Delta, StoredVersion

# Factors need torch, which takes seconds to import: only what reads or writes them imports it, so that a command that
# works on the ledger, such as `kbsync plan`, starts at once.
if TYPE_CHECKING:
    from kbsync.model.delta import FactorDelta

MANIFEST = "manifest.json"
FACTORS = "factors.safetensors"
EVALUATION = "evaluation.json"

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_DAMAGED = ".damaged-"
_KEPT = "All versions that were stored are still there, and no new one was added."
_UNTOUCHED = "The stored files were not changed."
_RESTORE = (
    "`kbsync rebuild N --repair` builds it again; else restore it from a backup, or go to a version that is whole: "
    "`kbsync rollback --to N`."
)
_MEASURE = "`kbsync evaluate N --again` measures it anew and writes the file anew."
_AGAIN = "`kbsync rebuild N --repair` builds it again from its manifest, which was kept."


class FileCheckpointStore(CheckpointStore):
    """``versions/<version hash>/`` with ``manifest.json`` and ``factors.safetensors``, and ``evaluation.json`` once the
    version was measured.

    A directory gets its name after its files were read back, verified and synced (at a URL: its manifest is written
    after the factors), so a version that can be listed is whole. Of a version that was removed, ``removed/<version
    hash>.json`` keeps the manifest: it still explains the version, and anchors the audit trail. Files that can't be
    read or written, and wrong bytes, are ``StoreError``.
    """

    def __init__(self, storage: Storage) -> None:
        self.versions = storage.below("versions")
        self.explanations = storage.below("removed")

    def write(self, manifest: Manifest, delta: Delta) -> str:
        """A version that is there and sound stays as it is (dates and timings are its first build's); a damaged one
        is set aside and written anew."""
        version_hash = manifest.version_hash
        files = self._files(manifest, _factor_delta(delta))
        with explained(f"writing version {version_hash[:12]} to {self.versions.where()}", kept=_KEPT):
            if version_hash in self.hashes() and self._sound(version_hash):
                return version_hash
            self.versions.write_directory(
                version_hash,
                files,
                mark=MANIFEST,
                check=lambda directory: _require_sound(self.versions, directory, version_hash),
                aside=f"{_DAMAGED}{version_hash}-{secrets.token_hex(4)}",
            )
            self.explanations.remove(_explanation(version_hash))
        return version_hash

    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        """SHA-256 of each parameter's factors; see ``factors.hashes``."""
        from kbsync.checkpoints import factors

        return factors.hashes(_factor_delta(delta))

    def read(self, version_hash: str) -> StoredVersion[FactorDelta]:
        """Read a version, every byte of it checked; raises ``NotFound`` and ``StoreError``."""
        if version_hash not in self.hashes():
            if version_hash in self.removed():
                raise NotFound(f"The weights of version {version_hash} were removed by gc.", next_step=_AGAIN)
            raise self._unknown(version_hash)
        return _read_version(self.versions, version_hash, version_hash)

    def manifest(self, version_hash: str) -> Manifest:
        """Of stored and of removed versions, also where the factors are damaged; raises ``NotFound`` and
        ``StoreError``."""
        if version_hash in self.hashes():
            return _read_manifest(self.versions, f"{version_hash}/{MANIFEST}", version_hash)[0]
        if version_hash in self.removed():
            return _read_manifest(self.explanations, _explanation(version_hash), version_hash)[0]
        raise self._unknown(version_hash)

    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        """Replace ``evaluation.json``."""
        if version_hash not in self.hashes():
            return
        kept = "The version was not changed."
        with explained(f"writing the evaluation of version {version_hash[:12]}", kept=kept):
            self.versions.write(f"{version_hash}/{EVALUATION}", evaluation_file.encode(version_hash, evaluation))

    def evaluation(self, version_hash: str) -> Evaluation | None:
        """What ``annotate`` wrote last; None before. Raises ``NotFound`` and ``StoreError``."""
        if version_hash not in self.hashes():
            raise self._unknown(version_hash)
        name = f"{version_hash}/{EVALUATION}"
        if not self.versions.exists(name):
            return None
        with _checked(self.versions.where(name), _MEASURE):
            return evaluation_file.decode(self.versions.read(name), version_hash)

    def hashes(self) -> list[str]:
        """All complete versions, sorted."""
        with explained(f"listing {self.versions.where()}", kept="Nothing was changed."):
            names = [name for name in self.versions.names() if _HASH.match(name)]
            return sorted(name for name in names if self.versions.is_whole(name, MANIFEST))

    def removed(self) -> list[str]:
        """Versions of which only the manifest is left, sorted."""
        with explained(f"listing {self.explanations.where()}", kept="Nothing was changed."):
            names = [name.removesuffix(".json") for name in self.explanations.names() if name.endswith(".json")]
            stored = set(self.hashes()) if names else set()
            return sorted(name for name in names if _HASH.match(name) and name not in stored)

    def remove(self, version_hash: str) -> None:
        """Remove the weights and keep the manifest; for the holder of the writer's lease.

        Raises as ``manifest`` does: a version that can't be explained is not removed.
        """
        name = f"{version_hash}/{MANIFEST}"
        _read_manifest(self.versions, name, version_hash)
        kept = "The manifest was kept, and so were all other versions."
        with explained(f"removing version {version_hash[:12]}", kept=kept):
            self.explanations.write(_explanation(version_hash), self.versions.read(name))
            self.versions.remove_directory(version_hash, MANIFEST)

    def remove_stray(self, version_hash: str) -> None:
        """Remove a version that no row of the ledger names, manifest and all; for the holder of the writer's lease."""
        with explained(f"removing version {version_hash[:12]}", kept="All other versions were kept."):
            self.versions.remove_directory(version_hash, MANIFEST)

    def directory(self, version_hash: str) -> Entry:
        """Where a version is stored, whether or not it is there."""
        return Entry(self.versions, version_hash)

    def files(self, version_hash: str) -> list[Entry]:
        """All files of a stored version, or the one that is left of a removed one."""
        if version_hash in self.hashes():
            entries = [Entry(self.versions, f"{version_hash}/{name}") for name in (MANIFEST, FACTORS, EVALUATION)]
            return [entry for entry in entries if entry.last != EVALUATION or self.versions.exists(entry.name)]
        if version_hash in self.removed():
            return [Entry(self.explanations, _explanation(version_hash))]
        return []

    def verify(self, version_hash: str) -> None:
        """Hash every byte again; of a removed version, those of its manifest."""
        if version_hash in self.removed():
            self.manifest(version_hash)
        else:
            self.read(version_hash)
            self.evaluation(version_hash)

    def damaged(self) -> list[Entry]:
        """Directories that were set aside because a byte in them was wrong."""
        return [Entry(self.versions, name) for name in self.versions.names() if name.startswith(_DAMAGED)]

    def halves(self) -> list[Entry]:
        """Versions at a URL that a killed write left without their manifest."""
        names = [name for name in self.versions.names() if _HASH.match(name)]
        return [Entry(self.versions, name) for name in names if self.versions.is_half(name, MANIFEST)]

    def unfinished(self) -> list[Entry]:
        """What killed writes left, and what writes at work have not finished."""
        return [
            *(Entry(storage, name) for storage in (self.versions, self.explanations) for name in storage.unfinished()),
            *self.halves(),
        ]

    def clean_temporary(self) -> list[Entry]:
        """Remove what killed writes left, and return it; for the holder of the writer's lease."""
        with explained(f"clearing up {self.versions.where()}", kept="Everything that is complete was kept."):
            halves = self.halves()
            for entry in halves:
                entry.remove()
            storages = (self.versions, self.explanations)
            return [Entry(storage, name) for storage in storages for name in storage.remove_unfinished()] + halves

    def _unknown(self, version_hash: str) -> NotFound:
        return NotFound(f"The store {self.versions.where()} holds no version {version_hash}.", next_step=_RESTORE)

    def _files(self, manifest: Manifest, delta: FactorDelta) -> dict[str, bytes]:
        from kbsync.checkpoints import factors

        if manifest.factors != factors.hashes(delta):
            raise StoreError("The manifest's factor hashes are not those of the factors.", kept=_KEPT)
        data = factors.encode(delta)
        try:
            text = manifest_file.encode(manifest, hashlib.sha256(data).hexdigest())
        except ValueError as error:
            raise StoreError(f"The manifest can't be written: {error}.", kept=_KEPT) from error
        return {FACTORS: data, MANIFEST: text}

    def _sound(self, version_hash: str) -> bool:
        try:
            self.verify(version_hash)
        except StoreError:
            return False
        return True


def _explanation(version_hash: str) -> str:
    return f"{version_hash}.json"


def _read_manifest(storage: Storage, name: str, version_hash: str) -> tuple[Manifest, str]:
    """The manifest and the checksum of the factors' file; raises ``StoreError`` naming the file that is wrong."""
    with _checked(storage.where(name)):
        manifest, factors_sha256 = manifest_file.decode(storage.read(name))
        if manifest.version_hash != version_hash:
            raise ValueError(f"explains version {manifest.version_hash}")
    return manifest, factors_sha256


def _read_version(storage: Storage, directory: str, version_hash: str) -> StoredVersion[FactorDelta]:
    """Read both files and check every byte of them; raises ``StoreError`` naming the file that is wrong.

    The checksum of the factors' file is the one thing in the manifest's file that no checksum covers. Where it differs,
    the factors themselves, which the version hash covers, tell which of the two files was changed.
    """
    from kbsync.checkpoints import factors

    manifest, factors_sha256 = _read_manifest(storage, f"{directory}/{MANIFEST}", version_hash)
    where = storage.where(f"{directory}/{FACTORS}")
    with _checked(where):
        data = storage.read(f"{directory}/{FACTORS}")
        same = hashlib.sha256(data).hexdigest() == factors_sha256
        if not same and not _are_factors_of(manifest, data):
            raise ValueError(f"does not match the checksum in {MANIFEST}")
    if not same:
        with _checked(storage.where(f"{directory}/{MANIFEST}")):
            raise ValueError(f"holds a checksum that is not that of {FACTORS}, which is whole")
    with _checked(where):
        delta = factors.decode(data)
        if factors.hashes(delta) != manifest.factors:
            raise ValueError(f"holds other factors than {MANIFEST} says")
    return StoredVersion(manifest, delta)


def _require_sound(storage: Storage, directory: str, version_hash: str) -> None:
    _read_version(storage, directory, version_hash)


def _are_factors_of(manifest: Manifest, data: bytes) -> bool:
    """Whether these are, byte for byte, the factors that the manifest names."""
    from kbsync.checkpoints import factors

    try:
        delta = factors.decode(data)
    except ValueError:
        return False
    return factors.hashes(delta) == manifest.factors and factors.encode(delta) == data


@contextmanager
def _checked(where: str, mend: str = _RESTORE) -> Iterator[None]:
    """Make what is wrong with the file's content (``ValueError``), or with reading it, a ``StoreError``."""
    try:
        with explained(f"reading {where}", kept=_UNTOUCHED, if_missing=mend):
            yield
    except ValueError as error:
        raise StoreError(f"{where} {error}.", kept=_UNTOUCHED, next_step=mend) from error


def _factor_delta(delta: Delta) -> FactorDelta:
    from kbsync.model.delta import FactorDelta

    if not isinstance(delta, FactorDelta):
        raise TypeError(f"a file store holds factors, not {type(delta).__name__}")
    return delta
