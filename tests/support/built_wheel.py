"""The wheel as it would be published, built from a copy of the sources: a build writes beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE.md", "kbsync", "migrations", "config")


def build_wheel(target: Path) -> Path:
    """Returns the file in ``target``. Asks no package index."""
    with tempfile.TemporaryDirectory() as copy:
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(copy) / name, ignore=shutil.ignore_patterns("__pycache__", "var"))
            else:
                shutil.copy(source, copy)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*pip, "--wheel-dir", str(target), "."], cwd=copy, check=True, timeout=200)
    (built,) = target.glob("kbsync-*.whl")
    return built
