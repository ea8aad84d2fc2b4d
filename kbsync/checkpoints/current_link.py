"""``<state_dir>/current``: a symbolic link to the current version in the format that servers want.

The alias in the ledger says what is current, and the link follows it: a directory below ``published/`` is written
whole, and then a new link is renamed over the old one. A reader sees the old directory or the new one, and never half
of either; the old one stays for a while, for those who are still reading it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.exporters.directory import RECORD, exported, file_sha256, record
from kbsync.checkpoints.exporters.form import ADAPTERS, WHOLE, ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.checkpoints.os_errors import explained
from kbsync.checkpoints.storage import Entry
from kbsync.checkpoints.store import FileCheckpointStore
from kbsync.domain.errors import ModelError
from kbsync.domain.version import Version
from kbsync.system.durable import UNFINISHED, locked_directory, make_directory, remove_unfinished, sync

if TYPE_CHECKING:
    from kbsync.checkpoints.exporters.card import CardFacts
    from kbsync.model.load import LoadedModel

LINK, DIRECTORY = "current", "published"
_KEPT = (
    "Current moved in the ledger; its path still leads to the old version, and the next command that writes moves it."
)


@dataclass(frozen=True, slots=True)
class CurrentLink:
    """The link, and the directories that it leads to."""

    root: Path
    """The state directory."""
    form: ExportForm
    """What it leads to; the format ``factors``: the version's own files."""
    store: FileCheckpointStore
    loaded: Callable[[], LoadedModel]
    """Loads the base; not called for ``factors``."""
    card: Callable[[Version], CardFacts | None]
    """What a version's model card tells; raises ``GateRefused`` where the form loses too many facts."""

    @property
    def link(self) -> Path:
        """The symbolic link itself."""
        return self.root / LINK

    @property
    def directories(self) -> Path:
        """Where the directories are that the link may lead to."""
        return self.root / DIRECTORY

    def name(self, version: Version | None, base: str) -> str:
        """Name of the directory for ``version``, or for the unedited base with the fingerprint ``base``."""
        what = f"{version.number}-{(version.version_hash or '')[:12]}" if version else f"base-{base[:12]}"
        return f"{what}-{self.form.suffix}"

    def directory(self, version: Version | None, base: str) -> Path:
        """Where a version is, or was, while the link leads to it: a path that no other version ever has."""
        return self.directories / self.name(version, base)

    def follow(self, version: Version | None, base: str, is_current: Callable[[], bool] = lambda: True) -> bool:
        """Make the link lead to a version.

        Args:
            version: None: the base.
            base: Fingerprint of the base.
            is_current: Reads the ledger again: whether the version is current still. It is asked under a lock that
                everybody takes who moves the link, so a process that stalled can't move it back to an older version.

        Returns:
            Whether the link moved.

        Raises:
            StoreError: The directory or the link can't be written.
            ModelError: Another base is configured than the version needs.
        """
        name = self.name(version, base)
        old = self._target()
        if old == name and (self.directories / name).is_dir():
            return False
        with explained(f"publishing {name} at {self.link}", kept=_KEPT):
            if not (self.directories / name).is_dir():
                self._write(self.directories / name, version, base)
            make_directory(self.root)
            with locked_directory(self.root):
                if not is_current():
                    return False  # whoever moved the alias lets the link follow
                self._point(name)
            if old and (self.directories / old).is_dir():
                os.utime(self.directories / old)  # gc counts from when the link left it
        return True

    def clean_temporary(self) -> None:
        """Remove what killed writes left; for the holder of the writer's lease."""
        with explained(f"cleaning {self.root}", kept="What is published was not changed."):
            remove_unfinished(self.directories)
            for path in self.root.glob(f"{UNFINISHED}{LINK}-*"):
                path.unlink(missing_ok=True)

    def copies(self) -> list[Entry]:
        """All published directories, and whatever else stands there under a name that is not temporary."""
        storage = DiskStorage(self.directories)
        return [Entry(storage, name) for name in sorted(storage.names()) if not name.startswith(".")]

    def unfinished(self) -> list[Entry]:
        """What killed writes left, and what writes at work have not finished."""
        storage = DiskStorage(self.directories)
        return [Entry(storage, name) for name in storage.unfinished()]

    def in_use(self, copy: Entry) -> bool:
        """Whether the link leads there."""
        return copy.name == self._target()

    def problems(self, version: Version | None, base: str) -> list[tuple[Path, str]]:
        """What is wrong with the link and with what it leads to, whose every byte is hashed again: path and
        sentence."""
        name, target = self.name(version, base), self._target()
        directory = self.directories / name
        if target != name:
            return [(self.link, f"{self.link} leads to {target or 'nothing'}, and current is {name}.")]
        try:
            files = json.loads((directory / RECORD).read_text(encoding="utf-8"))["files"]
            wrong = [f for f, digest in files.items() if file_sha256(directory / f) != digest]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return [(directory, f"{directory} can't be checked: {error}.")]
        return [(directory / f, f"{directory / f} is not what was published.") for f in wrong]

    def _target(self) -> str:
        """Name of the directory that the link leads to; empty where there is no link."""
        return self.link.readlink().name if self.link.is_symlink() else ""

    def _write(self, directory: Path, version: Version | None, base: str) -> None:
        from kbsync.model.delta import FactorDelta

        about: dict[str, Any] = {"version": 0, "version_hash": None, "base_fingerprint": base}
        delta = FactorDelta({})
        if version is not None:
            about |= {"version": version.number, "version_hash": version.version_hash}
            delta = self.store.read(version.version_hash or "")[1]
        if self.form.format in WHOLE or (self.form.format in ADAPTERS and version is not None):
            loaded = self._base(base)
            card = self.card(version) if version is not None else None
            for warning in write_export(loaded, delta, directory, self.form, about, card).warnings:
                structlog.get_logger(__name__).warning("publish", version=about["version"], warning=warning)
        else:
            with exported(directory) as unfinished:
                for entry in self.store.files(version.version_hash or "") if version else ():
                    (unfinished / entry.last).write_bytes(entry.read())
                record(unfinished, about | {"format": self.form.format})

    def _base(self, fingerprint: str) -> LoadedModel:
        loaded = self.loaded()
        if loaded.fingerprint != fingerprint:
            raise ModelError(
                f"Current was built on another base ({fingerprint[:12]}) than the configured one.",
                kept=_KEPT,
                next_step="Set model.reference to the base that it was built on, or release.publish to factors.",
            )
        return loaded

    def _point(self, name: str) -> None:
        """Rename a new link over the old one."""
        new = self.root / f"{UNFINISHED}{LINK}-{secrets.token_hex(16)}"
        new.symlink_to(Path(DIRECTORY) / name, target_is_directory=True)
        try:
            new.replace(self.link)
        finally:
            new.unlink(missing_ok=True)
        sync(self.root)
