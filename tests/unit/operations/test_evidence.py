import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbsync.operations.evidence import Figure, at_least, at_most, evidence, peak_rss_bytes, write_evidence


def document() -> dict[str, object]:
    figures = [at_least("efficacy", 0.95, "share", 0.9), at_most("elapsed", 901, "s", 900), Figure("items", 3, "items")]
    return evidence("make demo", figures, seed=1, started=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.25, extra="x")


def test_the_head_is_complete_and_figures_say_whether_they_hold(tmp_path: Path) -> None:
    write_evidence(tmp_path / "a.json", document())
    read = json.loads((tmp_path / "a.json").read_text())
    head = {"command", "commit", "versions", "machine", "seed", "started", "seconds", "peak_rss_bytes", "figures"}
    assert head | {"extra"} == set(read)
    assert [f["holds"] for f in read["figures"]] == [True, False, None]
    assert 0 < read["peak_rss_bytes"] <= peak_rss_bytes()


@pytest.mark.slow
def test_the_peak_of_a_program_is_its_own() -> None:
    held = bytearray(300 * 2**20)  # pages of zeros, touched
    held[::4096] = b"x" * len(held[::4096])
    script = "from kbsync.operations.evidence import peak_rss_bytes; print(peak_rss_bytes())"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(told) < len(held) < peak_rss_bytes()


def test_a_figure_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    broken = document() | {"figures": [{"value": float("nan")}]}
    with pytest.raises(ValueError, match="Out of range"):
        write_evidence(tmp_path / "a.json", broken)
