"""Stored versions: one directory each, named by its version hash, immutable once it has that name."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from kbsync.checkpoints import evaluation_file as judgement
from kbsync.checkpoints import factors
from kbsync.checkpoints import manifest as manifest_file
from kbsync.checkpoints.files import explained
from kbsync.checkpoints.remote import RemotePath
from kbsync.checkpoints.storage import (
    Place,
    remove_directory,
    remove_unfinished,
    set_aside,
    write_directory,
    write_file,
)
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Evaluation, Manifest
from kbsync.model.delta import FactorDelta
from kbsync.ports import CheckpointStore, Delta

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
    """``<root>/versions/<version hash>/`` with ``manifest.json`` and ``factors.safetensors``, and, once
    it was measured, ``evaluation.json``.

    ``root`` is a directory, or a place at any URL that fsspec reaches. A directory gets its name after its files were read
    back, verified and synced (at a URL: its manifest does, after the factors), so a version that can be listed is whole. Of a version that was removed, ``<root>/removed/<version hash>.json`` keeps the manifest: it still explains
    the version, and anchors the audit trail. Files that can't be read or written, and wrong bytes, are ``StoreError``.
    """

    def __init__(self, root: Place) -> None:
        self.versions = root / "versions"
        self.explanations = root / "removed"

    def write(self, manifest: Manifest, delta: Delta) -> str:
        """A version that is there and sound stays as it is (dates and timings are its first build's); a damaged one
        is set aside and written anew."""
        version_hash = manifest.version_hash
        files = self._files(manifest, _factor_delta(delta))
        target = self.versions / version_hash
        with explained(f"writing version {version_hash[:12]} to {self.versions}", kept=_KEPT):
            if version_hash in self.hashes() and self._sound(version_hash):
                return version_hash

            def ready(unfinished: Place) -> None:
                _read(unfinished, version_hash)
                if target.exists() and unfinished != target:
                    self._set_aside(target)

            if isinstance(target, RemotePath) and target.exists():
                self._set_aside(target)
            write_directory(target, files, MANIFEST, ready)
            self._explanation(version_hash).unlink(missing_ok=True)
        return version_hash

    def _set_aside(self, directory: Place) -> None:
        set_aside(directory, self.versions / f"{_DAMAGED}{directory.name}-{secrets.token_hex(4)}", MANIFEST)

    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        return factors.hashes(_factor_delta(delta))

    def read(self, version_hash: str) -> tuple[Manifest, FactorDelta]:
        if version_hash not in self.hashes():
            if version_hash in self.removed():
                raise NotFound(f"The weights of version {version_hash} were removed by gc.", next_step=_AGAIN)
            raise NotFound(f"The store {self.versions} holds no version {version_hash}.", next_step=_RESTORE)
        return _read(self.versions / version_hash, version_hash)

    def manifest(self, version_hash: str) -> Manifest:
        """Of stored and of removed versions, also where the factors are damaged."""
        if version_hash in self.hashes():
            return read_manifest(self.versions / version_hash / MANIFEST, version_hash)[0]
        if version_hash in self.removed():
            return read_manifest(self._explanation(version_hash), version_hash)[0]
        raise NotFound(f"The store {self.versions} holds no version {version_hash}.", next_step=_RESTORE)

    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        if version_hash not in self.hashes():
            return
        kept = "The version was not changed."
        with explained(f"writing the evaluation of version {version_hash[:12]}", kept=kept):
            write_file(self.versions / version_hash / EVALUATION, judgement.encode(version_hash, evaluation))

    def evaluation(self, version_hash: str) -> Evaluation | None:
        if version_hash not in self.hashes():
            raise NotFound(f"The store {self.versions} holds no version {version_hash}.", next_step=_RESTORE)
        path = self.versions / version_hash / EVALUATION
        if not path.exists():
            return None
        with _checked(path, _MEASURE):
            return judgement.decode(path.read_bytes(), version_hash)

    def hashes(self) -> list[str]:
        with explained(f"listing {self.versions}", kept="Nothing was changed."):
            if not self.versions.is_dir():
                return []
            return sorted(p.name for p in self.versions.iterdir() if _HASH.match(p.name) and _whole(p))

    def removed(self) -> list[str]:
        """Versions of which only the manifest is left."""
        with explained(f"listing {self.explanations}", kept="Nothing was changed."):
            if not self.explanations.is_dir():
                return []
            stored = set(self.hashes())
            return sorted(
                p.stem for p in self.explanations.glob("*.json") if _HASH.match(p.stem) and p.stem not in stored
            )

    def remove(self, version_hash: str) -> None:
        """Remove the weights and keep the manifest; to be called by the holder of the writer's lease.

        Raises as ``manifest`` does: a version that can't be explained is not removed.
        """
        directory = self.versions / version_hash
        read_manifest(directory / MANIFEST, version_hash)
        kept = "The manifest was kept, and so were all other versions."
        with explained(f"removing version {version_hash[:12]}", kept=kept):
            write_file(self._explanation(version_hash), (directory / MANIFEST).read_bytes())
            remove_directory(directory, MANIFEST)

    def remove_stray(self, version_hash: str) -> None:
        """Remove a version that no row of the ledger names, manifest and all; by the holder of the writer's lease."""
        with explained(f"removing version {version_hash[:12]}", kept="All other versions were kept."):
            remove_directory(self.versions / version_hash, MANIFEST)

    def files(self, version_hash: str) -> list[Place]:
        """All files that speak for a version, stored or removed."""
        if version_hash in self.hashes():
            held = [self.versions / version_hash / name for name in (MANIFEST, FACTORS, EVALUATION)]
            return [path for path in held if path.name != EVALUATION or path.exists()]
        return [self._explanation(version_hash)] if version_hash in self.removed() else []

    def verify(self, version_hash: str) -> None:
        """A version that was removed is verified by what is left of it."""
        if version_hash in self.removed():
            self.manifest(version_hash)
        else:
            self.read(version_hash)
            self.evaluation(version_hash)

    def damaged(self) -> list[Place]:
        """Directories that were set aside because a byte in them was wrong."""
        return list(self.versions.glob(f"{_DAMAGED}*"))

    def clean_temporary(self) -> list[Place]:
        """Remove leftovers of killed writes; to be called by the holder of the writer's lease."""
        with explained(f"clearing up {self.versions}", kept="Everything that is complete was kept."):
            halves = [p for p in self.halves() if isinstance(p, RemotePath)]
            for path in halves:
                remove_directory(path)
            return [*remove_unfinished(self.versions), *remove_unfinished(self.explanations), *halves]

    def halves(self) -> list[Place]:
        """Versions at a URL that a killed write left without their manifest."""
        if not isinstance(self.versions, RemotePath) or not self.versions.is_dir():
            return []
        return [p for p in self.versions.iterdir() if _HASH.match(p.name) and not _whole(p)]

    def _explanation(self, version_hash: str) -> Place:
        return self.explanations / f"{version_hash}.json"

    def _files(self, manifest: Manifest, delta: FactorDelta) -> dict[str, bytes]:
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


def read_manifest(path: Place, version_hash: str) -> tuple[Manifest, str]:
    """The manifest and the checksum of the factors' file; raises ``StoreError`` naming the file that is wrong."""
    with _checked(path):
        found, factors_sha256 = manifest_file.decode(path.read_bytes())
        if found.version_hash != version_hash:
            raise ValueError(f"explains version {found.version_hash}")
    return found, factors_sha256


def read_factors(path: Place, manifest: Manifest, factors_sha256: str) -> FactorDelta:
    """The factors that the manifest explains; raises ``StoreError`` naming the file that is wrong.

    The checksum of the factors' file is the one thing in the manifest's file that no checksum covers. Where it differs,
    the factors themselves, which the version hash covers, tell which of the two files was changed.
    """
    with _checked(path):
        data = path.read_bytes()
        same = hashlib.sha256(data).hexdigest() == factors_sha256
        if not same and not _explained(data, manifest):
            raise ValueError(f"does not match the checksum in {MANIFEST}")
    if not same:
        with _checked(path.parent / MANIFEST):
            raise ValueError(f"holds a checksum that is not that of {FACTORS}, which is whole")
    with _checked(path):
        delta = factors.decode(data)
        if factors.hashes(delta) != manifest.factors:
            raise ValueError(f"holds other factors than {MANIFEST} says")
    return delta


def _explained(data: bytes, manifest: Manifest) -> bool:
    """Whether these are, byte for byte, the factors that the manifest names."""
    try:
        delta = factors.decode(data)
    except ValueError:
        return False
    return factors.hashes(delta) == manifest.factors and factors.encode(delta) == data


def _read(directory: Place, version_hash: str) -> tuple[Manifest, FactorDelta]:
    """Read both files and check every byte of them."""
    found, factors_sha256 = read_manifest(directory / MANIFEST, version_hash)
    return found, read_factors(directory / FACTORS, found, factors_sha256)


def _whole(directory: Place) -> bool:
    """On a disk a directory has its name only when it is whole; at a URL the manifest is written last."""
    return (directory / MANIFEST).exists() if isinstance(directory, RemotePath) else directory.is_dir()


@contextmanager
def _checked(path: Place, mend: str = _RESTORE) -> Iterator[None]:
    """Make what is wrong with the file's content (``ValueError``), or with reading it, a ``StoreError``."""
    try:
        with explained(f"reading {path}", kept=_UNTOUCHED, if_missing=mend):
            yield
    except ValueError as error:
        raise StoreError(f"{path} {error}.", kept=_UNTOUCHED, next_step=mend) from error


def _factor_delta(delta: Delta) -> FactorDelta:
    if not isinstance(delta, FactorDelta):
        raise TypeError(f"a file store holds factors, not {type(delta).__name__}")
    return delta
