"""kbsync as a program of its own, for suites that see what a reader of the pages sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kbsync.domain.errors import GateRefused, KbsyncError

REFUSED = GateRefused.exit_code
"""The exit code that says that the gate refused a version."""


def run(
    state: Path, *arguments: str, environment: Mapping[str, str] | None = None, accepted: tuple[int, ...] = (0,)
) -> str:
    """The output of a command in the directory of the configuration. Raises ``KbsyncError`` with its exit code."""
    command = [sys.executable, "-m", "kbsync", *arguments]
    done = subprocess.run(
        command, cwd=state, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in accepted:
        raise KbsyncError(
            f"`kbsync {' '.join(arguments)}` ended with code {done.returncode}.",
            kept=f"Everything is in {state}.",
            next_step="Its last lines above say what to do; then run the same command again.",
        )
    return done.stdout
