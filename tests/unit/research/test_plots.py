"""Plots of the research benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.plots import plot_scaling


def test_a_plot_needs_a_scaling_run(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"figures": []}', '{"results": [{"algorithm": "none", "estimates": {}}]}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DataError):
            plot_scaling(tmp_path / "x.json", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
