"""The heat map of a causal trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.heatmap import plot_trace


def test_a_heat_map_needs_a_trace(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"results": []}')
    with pytest.raises(DataError, match="holds no trace"):
        plot_trace(tmp_path / "other.json", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
