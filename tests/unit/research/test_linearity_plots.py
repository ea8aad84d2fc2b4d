"""Plots of linear relations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.linearity_plots import plot_editing, plot_layers


@pytest.mark.slow
def test_the_plots_are_drawn_from_the_evidence(tmp_path: Path) -> None:
    result = {"faithfulness": 0.5, "layer": 3, "by_layer": {"3": 0.5, "6": 0.25}}
    document = {
        "model": {"reference": "m"},
        "settings": {"layers": [3, 6]},
        "relations": {"P1": result, "P2": result},
        "figures": [
            {"name": name, "value": 0.5}
            for name in ("P1.faithfulness", "P1.editing", "P2.faithfulness", "P2.editing", "correlation_with_editing")
        ],
    }
    (tmp_path / "e.json").write_text(json.dumps(document))
    plot_layers(tmp_path / "e.json", tmp_path / "a.png")
    plot_editing(tmp_path / "e.json", tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size > 5000 and (tmp_path / "b.png").stat().st_size > 5000
    (tmp_path / "e.json").write_text(json.dumps(document | {"figures": []}))
    with pytest.raises(DataError, match="holds no edits"):
        plot_editing(tmp_path / "e.json", tmp_path / "c.png")
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(DataError, match="no relations"):
        plot_layers(tmp_path / "e.json", tmp_path / "c.png")
