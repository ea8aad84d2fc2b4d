"""Evidence: what a benchmark measured, as one JSON file with the same head for every command.

Tables and plots in ``docs/`` are generated from such files under ``docs/results/``, never typed.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kbsync.system.durable import write_for_people

LIBRARIES = ("kbsync", "torch", "transformers", "safetensors", "sqlalchemy", "oxigraph")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; ``target`` says the demand in words (``>= 0.9``) and ``holds`` whether it was met."""

    name: str
    value: float
    unit: str
    target: str | None = None
    holds: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The head of every evidence file. A benchmark adds fields of its own, which its page in docs/ describes.
    ``commit`` is null outside a checkout; ``versions`` and ``machine`` say on what it was measured."""

    command: str
    commit: str | None
    versions: dict[str, str | None]
    machine: dict[str, Any]
    seed: int
    started: datetime
    seconds: float
    peak_rss_bytes: int
    figures: tuple[Figure, ...]


def at_least(name: str, value: float, unit: str, bound: float) -> Figure:
    return Figure(name, value, unit, f">= {bound:g}", value >= bound)


def at_most(name: str, value: float, unit: str, bound: float) -> Figure:
    return Figure(name, value, unit, f"<= {bound:g}", value <= bound)


def peak_rss_bytes() -> int:
    """The largest resident set that this program ever had (Linux counts it in KiB, macOS in bytes).

    Linux hands ``ru_maxrss`` on from whoever started the program; what /proc says begins with the program itself.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def evidence(
    command: str, figures: Sequence[Figure], *, seed: int, started: datetime, seconds: float, **more: Any
) -> dict[str, Any]:
    """The document: the common head, the figures, and whatever the benchmark adds (``more``)."""
    return {
        "command": command,
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
        "machine": {
            "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "cpu": platform.machine(),
        },
        "seed": seed,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "peak_rss_bytes": peak_rss_bytes(),
        "figures": [asdict(figure) for figure in figures],
        **more,
    }


def write_evidence(path: Path, document: dict[str, Any]) -> None:
    """Write atomically, so that a reader never sees half a file."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_for_people(path, text.encode())


def _commit() -> str | None:
    """The checkout's commit, with ``+`` when it has uncommitted changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
