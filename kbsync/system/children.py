"""The environment of the programs that kbsync starts: what a program needs to run, and nothing that kbsync was told."""

from __future__ import annotations

import os
from collections.abc import Mapping

PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""Variables that a child gets as they are, together with all ``LC_``."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: passwords, tokens and proxies stay with kbsync.

    Args:
        more: What this child gets beside it.
    """
    kept = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("LC_")}
    return kept | dict(more or {})
