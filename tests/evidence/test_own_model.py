"""A model of one's own by two commands: what is prepared, what is told, and what becomes of a command that fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.config import load_relations
from kbsync.demo.table import Item, Table, load_table
from kbsync.domain.errors import KbsyncError
from kbsync.domain.statement import ItemId
from tests.evidence.command import run
from tests.evidence.own_model import (
    TOLD,
    WORLD,
    added,
    figures,
    measure_own_model,
    prepare,
    without_directories,
)


def metric(name: str, value: float, base: float = 0.0) -> dict[str, Any]:
    return {"name": name, "value": value, "base": base}


def test_the_commands_directory_is_whole_or_not_there(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (tmp_path / "state.part").mkdir()
    prepare("package:nowhere", state, None, 1)
    assert (state / WORLD).is_dir() and not (tmp_path / "state.part").exists()
    assert {r.name for r in load_relations(state / "relations")} >= {"author", "capital"}
    assert 'recipe = "auto"' in (state / "kbsync.toml").read_text(encoding="utf-8")
    pulled = json.loads(run(state, "pull", "--json"))
    assert pulled["observed"] > 300, "the store of the configuration answers"
    with pytest.raises(KbsyncError, match=r"`kbsync sync` ended with code \d+") as failed:
        run(state, "sync")
    assert str(state) in str(failed.value), "it says where everything is"


def test_the_reference_data_add_what_the_demonstration_does_not_say() -> None:
    table = load_table()
    (first, *_), france = table.statements, next(i for i, item in table.items.items() if item.label == "France")
    other = replace(first, object=france)
    new = replace(first, subject=ItemId("Q999999999"))
    names = {
        new.subject: Item(id=new.subject, label="Nowhere", aliases=()),
        france: Item(id=france, label="X", aliases=()),
    }
    both = added(table, Table(names, {}, (other, new), ()))
    assert both.statements == (*table.statements, new)
    assert both.label(new.subject) == "Nowhere" and both.label(france) == "France"


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("Dear Sir")
    with pytest.raises(KbsyncError, match="holds something else"):
        measure_own_model("package:nowhere", tmp_path, None, 1, None)
    assert (tmp_path / "letters.txt").read_text() == "Dear Sir"


def test_no_password_is_told() -> None:
    assert "KBSYNC_MODEL__DTYPE".startswith(TOLD)
    for name in ("KBSYNC_DATABASE_URL", "KBSYNC_WEB__TOKEN", "KBSYNC_RELEASE__SECRET", "KBSYNC_SERVED__KEY"):
        assert not name.startswith(TOLD)


def test_the_evidence_names_no_directory() -> None:
    assert without_directories("/data/models/qwen.gguf") == "qwen.gguf"
    assert without_directories('["/data/a.txt.gz","/data/text/b.txt"]') == '["a.txt.gz","b.txt"]'
    assert without_directories("google/gemma-3-270m") == "google/gemma-3-270m"
    assert without_directories("bfloat16") == "bfloat16"


def test_a_version_that_was_refused_or_is_too_small_misses_its_targets() -> None:
    evaluation = {"metrics": [metric("efficacy", 0.95), metric("perplexity", 20.5, 20.0)]}
    good = {f.name: f for f in figures({"current": True, "facts": 120}, evaluation, 60.0, 100)}
    assert all(f.holds is not False for f in good.values())
    assert good["edited.prompt"].value == 0.95 and good["perplexity_growth"].value == pytest.approx(0.025)
    assert "edited.question" not in good
    bad = {f.name: f for f in figures({"current": False, "facts": 90}, evaluation, 60.0, 100)}
    assert bad["promoted"].holds is False and bad["facts"].holds is False
