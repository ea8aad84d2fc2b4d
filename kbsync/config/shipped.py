"""The configuration files that come with kbsync: what ``kbsync init`` writes out."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import kbsync
from kbsync.config.relation_file import load_relations
from kbsync.domain.errors import StoreError
from kbsync.domain.relation import Relation


def shipped_config() -> dict[str, str]:
    """Read every shipped file.

    Returns:
        Relative path (``kbsync.toml``, ``relations/capital.toml``, …) → text.

    Raises:
        StoreError: They are neither in ``kbsync/share/config``, where an installed package holds them, nor in
            ``config``, where a checkout does.
    """
    root = _root()
    paths = sorted(path for path in root.rglob("*.toml") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def default_config_text() -> str:
    """The main file: every default, commented out, with what it means. Raises ``StoreError`` as ``shipped_config``."""
    return (_root() / "kbsync.toml").read_text(encoding="utf-8")


def shipped_relations(folder: str) -> tuple[Relation, ...]:
    """The relations of ``relations`` (the watch list) or ``library``. Raises ``StoreError`` as ``shipped_config``."""
    return load_relations(_root() / folder)


def _root() -> Path:
    packaged = Path(str(files("kbsync") / "share" / "config"))
    checkout = Path(kbsync.__file__).parent.parent / "config"
    for root in (packaged, checkout):
        if (root / "kbsync.toml").is_file():
            return root
    raise StoreError(
        f"The shipped configuration is neither in {packaged} nor in {checkout}.",
        next_step="Install kbsync again.",
    )
