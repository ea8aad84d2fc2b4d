"""Puts the migrations and the shipped configuration, which live at the top of the repository, into the wheel.

Everything else about the package is said in ``pyproject.toml``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHARED = ("migrations", "config")
KINDS = ("*.py", "*.mako", "*.ini", "*.toml")


class BuildWithShare(build_py):
    """``migrations/`` and ``config/`` become ``kbsync/share/`` in what is built; a checkout reads them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in SHARED:
            shutil.rmtree(Path(self.build_lib) / "kbsync" / "share" / name, ignore_errors=True)
            for kind in KINDS:
                for source in sorted((ROOT / name).rglob(kind)):
                    target = Path(self.build_lib) / "kbsync" / "share" / source.relative_to(ROOT)
                    self.mkpath(str(target.parent))
                    self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithShare})
