from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.config_samples import MAIN, RECIPE, RELATION, Writer


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in os.environ if n.upper().startswith("KBSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """A function that writes a configuration directory, with other parts where given, and returns its main file."""

    def write_files(
        main: str = MAIN, relations: dict[str, str] | None = None, recipes: dict[str, str] | None = None
    ) -> Path:
        directory = tmp_path / "etc"
        files = {"kbsync.toml": main}
        files |= {f"relations/{n}.toml": t for n, t in (relations or {"head-of-state": RELATION}).items()}
        files |= {f"recipes/{n}.toml": t for n, t in (recipes or {"small": RECIPE}).items()}
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return directory / "kbsync.toml"

    return write_files
