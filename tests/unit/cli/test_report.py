"""``kbsync report``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_the_page_is_written_where_it_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    cli.good("sync")
    page = tmp_path / "page.html"
    assert "would be written" in cli.good("report", "1", "--output", str(page), "--dry-run").out
    assert not page.exists()
    view = cli.good("report", "1", "--output", str(page), "--json").json
    text = page.read_text(encoding="utf-8")
    assert view == {"version": 1, "path": str(page), "bytes": len(text.encode())}
    assert "Olaf Scholz" in text
    assert cli("report", "7").code == 66
