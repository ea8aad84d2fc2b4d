"""The configuration files that come with kbsync: what ``kbsync init`` writes out."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import kbsync
from kbsync.domain.errors import StoreError


def shipped_config() -> dict[str, str]:
    """Relative path → text of every shipped file: ``kbsync.toml``, ``relations/*.toml``, ``recipes/*.toml``.

    An installed package holds them as ``kbsync/share/config``, a checkout in ``config``. Raises ``StoreError`` when
    neither is there.
    """
    root = _root()
    found = sorted(p for p in root.rglob("*.toml") if p.is_file())
    return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in found}


def default_config_text() -> str:
    """The commented main file with every default."""
    return (_root() / "kbsync.toml").read_text(encoding="utf-8")


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
