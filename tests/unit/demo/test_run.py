"""Where the demonstration may run, and the configuration that it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.config import load_all
from kbsync.demo.run import MARKER, MODEL, configure, fresh, require_own
from kbsync.domain.errors import StoreError


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="something else"):
        fresh(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_an_earlier_run_makes_room_but_for_what_is_dear_to_compute(tmp_path: Path) -> None:
    assert require_own(tmp_path) is False
    fresh(tmp_path)
    assert require_own(tmp_path) is True
    for name in ("versions", "world", "artifacts", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "ledger.sqlite3").touch()
    (tmp_path / "ledger.sqlite3-wal").touch()
    fresh(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [MARKER, "artifacts", "models"]


def test_what_it_configures_can_be_loaded_by_every_command(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in ("wiki.valid.txt", "wiki.test.txt"):
        (texts / name).write_text("A text.")
    configuration = load_all(configure(tmp_path, texts, None))
    settings = configuration.settings
    assert settings.model.reference == MODEL
    assert len(configuration.relations) == 21
    assert [p.name for p in settings.text.corpus] == ["wiki.valid.txt"]
    assert [p.name for p in settings.text.held_out] == ["wiki.test.txt"]
    assert settings.state_dir == tmp_path
