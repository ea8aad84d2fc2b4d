"""Versions on disk: one directory each, named by its version hash, immutable once it has that name."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from kbsync.checkpoints import factors
from kbsync.checkpoints import manifest as manifest_file
from kbsync.checkpoints.files import explained, make_directory, remove_unfinished
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Manifest
from kbsync.model.delta import FactorDelta
from kbsync.model.durable import new_directory
from kbsync.ports import CheckpointStore, Delta

MANIFEST = "manifest.json"
FACTORS = "factors.safetensors"

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_DAMAGED = ".damaged-"
_KEPT = "All versions that were stored are still there, and no new one was added."
_UNTOUCHED = "The stored files were not changed."
_RESTORE = "Restore it from a backup, or go to a version that is whole: `kbsync rollback --to N`."


class FileCheckpointStore(CheckpointStore):
    """``<root>/versions/<version hash>/`` with ``manifest.json`` and ``factors.safetensors``.

    A directory gets its name after its files were read back, verified and synced, so a version that can be listed is
    whole. Files that can't be read or written, and wrong bytes, are ``StoreError``.
    """

    def __init__(self, root: Path) -> None:
        self.versions = root / "versions"

    def write(self, manifest: Manifest, delta: Delta) -> str:
        """A version that is there and sound stays as it is (dates and timings are its first build's); a damaged one
        is set aside and written anew."""
        version_hash = manifest.version_hash
        files = self._files(manifest, _factor_delta(delta))
        target = self.versions / version_hash
        with explained(f"writing version {version_hash[:12]} to {self.versions}", kept=_KEPT):
            if target.exists() and self._sound(version_hash):
                return version_hash
            make_directory(self.versions)
            with new_directory(target) as unfinished:
                for name, data in files.items():
                    (unfinished / name).write_bytes(data)
                _read(unfinished, version_hash)
                if target.exists():
                    target.rename(self.versions / f"{_DAMAGED}{version_hash}-{secrets.token_hex(4)}")
        return version_hash

    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        return factors.hashes(_factor_delta(delta))

    def read(self, version_hash: str) -> tuple[Manifest, FactorDelta]:
        directory = self.versions / version_hash
        if version_hash not in self.hashes():
            raise NotFound(f"The store {self.versions} holds no version {version_hash}.", next_step=_RESTORE)
        return _read(directory, version_hash)

    def hashes(self) -> list[str]:
        with explained(f"listing {self.versions}", kept="Nothing was changed."):
            if not self.versions.is_dir():
                return []
            return sorted(p.name for p in self.versions.iterdir() if _HASH.match(p.name) and p.is_dir())

    def verify(self, version_hash: str) -> None:
        self.read(version_hash)

    def damaged(self) -> list[Path]:
        """Directories that were set aside because a byte in them was wrong."""
        return sorted(self.versions.glob(f"{_DAMAGED}*"))

    def clean_temporary(self) -> list[Path]:
        """Remove leftovers of killed writes; to be called by the holder of the writer's lease."""
        with explained(f"clearing up {self.versions}", kept="Everything that is complete was kept."):
            return remove_unfinished(self.versions)

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


def _read(directory: Path, version_hash: str) -> tuple[Manifest, FactorDelta]:
    """Read both files and check every byte of them; raises ``StoreError`` naming the file that is wrong."""
    path = directory / MANIFEST
    try:
        with explained(f"reading {path}", kept=_UNTOUCHED, if_missing=_RESTORE):
            found, factors_sha256 = manifest_file.decode(path.read_bytes())
        if found.version_hash != version_hash:
            raise ValueError(f"explains version {found.version_hash}")
        path = directory / FACTORS
        with explained(f"reading {path}", kept=_UNTOUCHED, if_missing=_RESTORE):
            data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != factors_sha256:
            raise ValueError(f"does not match the checksum in {MANIFEST}")
        delta = factors.decode(data)
        if factors.hashes(delta) != found.factors:
            raise ValueError(f"holds other factors than {MANIFEST} says")
    except ValueError as error:
        raise StoreError(f"{path} {error}.", kept=_UNTOUCHED, next_step=_RESTORE) from error
    return found, delta


def _factor_delta(delta: Delta) -> FactorDelta:
    if not isinstance(delta, FactorDelta):
        raise TypeError(f"a file store holds factors, not {type(delta).__name__}")
    return delta
