"""Reads the commands of a page: its shell blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "tutorial" / "own-model.md"
SETTING = re.compile(r"export (MODEL=\S+) (ENDPOINT=\S+)\n")
"""The one line that is not run: its values are the reader's own."""


@dataclass(frozen=True, slots=True)
class Step:
    """A shell block, and the heading above it."""

    heading: str
    commands: str


def steps(page: Path = PAGE) -> list[Step]:
    """All blocks in order. Raises ``ValueError`` if the page does not begin with the reader's own values."""
    blocks, heading = [], ""
    for part in re.findall(r"^#+ [^\n]+$|^```sh\n.*?^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if part.startswith("#"):
            heading = part.lstrip("# ")
        else:
            blocks.append(Step(heading, part.removeprefix("```sh\n").removesuffix("```")))
    if not blocks or not SETTING.fullmatch(blocks[0].commands):
        raise ValueError(f"{page} does not begin with the line that sets MODEL and ENDPOINT")
    return blocks[1:]
