"""``kbsync bench scale-out``: what it refuses, and what it hands on; a run takes minutes, and is the committed
evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kbsync.research import scale_out
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_an_address_where_nothing_listens_is_one_clear_error(bench: Cli, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    result = bench("bench", "scale-out", "--address", "127.0.0.1:9")
    assert result.code == 69, result
    assert "The Ray cluster at 127.0.0.1:9 can't be reached" in result.err
    assert not (tmp_path / "docs").exists()


def test_the_sizes_are_handed_on(bench: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def measure(
        _session: object, address: str | None, size: scale_out.Size, _work: object, _: object
    ) -> dict[str, Any]:
        asked.append((address, size))
        return {"figures": []}

    monkeypatch.setattr(scale_out, "measure_scale_out", measure)
    bench.good("bench", "scale-out", "--facts", "60", "--rounds", "3", "--output", str(tmp_path / "out.json"))
    assert asked == [(None, scale_out.Size(targets=60, rounds=3))]
    assert json.loads((tmp_path / "out.json").read_text()) == {"figures": []}
