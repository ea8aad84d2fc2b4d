"""``kbsync bench alternatives``: one row for each way, and the evidence beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.site import Site

pytestmark = pytest.mark.slow

SMALL = ("bench", "alternatives", "--epochs", "1", "--rank", "2", "--timed", "1", "--answer-tokens", "1")


def test_all_ways_are_shown_and_written(oslo_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = oslo_site.good(*SMALL, "--demo", str(oslo_site.state), "--recipe", "random")
    document = json.loads((tmp_path / "docs" / "results" / "alternatives-oslo.json").read_text())
    assert document["command"] == "kbsync bench alternatives" and document["recipe"]["name"] == "random"
    assert document["settings"]["lora"]["rank"] == 2
    rows = shown.out.rpartition("specificity  ")[2]
    for way in ("base", "edit", "context", "retrieved", "lora", "edit_context"):
        assert way in rows
    assert str(tmp_path) not in json.dumps(document)


def test_without_a_ledger_nothing_is_written(oslo_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed = oslo_site(*SMALL, "--demo", str(tmp_path))
    assert failed.code == 65 and "holds no ledger" in failed.err
    assert not (tmp_path / "docs").exists()
