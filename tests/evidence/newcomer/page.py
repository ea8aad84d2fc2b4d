"""The commands of a page: its shell blocks, as they stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "tutorial" / "own-model.md"
SETTING = re.compile(r"export (MODEL=\S+) (ENDPOINT=\S+)\n")
"""The one line that is not run: it names what everybody has at another place."""


@dataclass(frozen=True, slots=True)
class Step:
    """The shell block below ``heading``, the first one where there are several."""

    heading: str
    commands: str


def steps(page: Path = PAGE) -> list[Step]:
    """All blocks in order; raises ``ValueError`` where the page does not begin with the reader's own values."""
    found, heading = [], ""
    for part in re.findall(r"^#+ [^\n]+$|^```sh\n.*?^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if part.startswith("#"):
            heading = part.lstrip("# ")
        else:
            found.append(Step(heading, part.removeprefix("```sh\n").removesuffix("```")))
    if not found or not SETTING.fullmatch(found[0].commands):
        raise ValueError(f"{page} does not begin with the line that sets MODEL and ENDPOINT")
    return found[1:]
