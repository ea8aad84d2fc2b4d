"""The page that a new user follows can be followed: its commands are found, exist, and lead to a synchronisation."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kbsync.cli.main import VERBS
from tests.evidence.newcomer.page import steps


def test_the_page_leads_from_an_empty_environment_to_a_sync() -> None:
    found = steps()
    text = "\n".join(step.commands for step in found)
    order = [
        "python3.11 -m venv",
        "pip install",
        "kbsync init",
        "kbsync doctor",
        "kbsync sync --dry-run",
        "kbsync sync ",
    ]
    places = [text.index(command) for command in order]
    assert places == sorted(places)
    verbs = {verb.name for verb in VERBS}
    called = re.findall(r"^kbsync ([a-z]+)", text, re.MULTILINE)
    assert len(called) >= 8 and set(called) <= verbs


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.heading)
def test_every_block_is_shell(step: object) -> None:
    done = subprocess.run(["bash", "-n", "-c", step.commands], capture_output=True, text=True, check=False)  # type: ignore[attr-defined]
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_that_does_not_begin_with_the_reader_s_values_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n```sh\nkbsync sync\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not begin"):
        steps(page)
