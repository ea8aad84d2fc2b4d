"""Plots the cost of an edit by its number of facts: ``python -m tests.evidence.speed.plot IMAGE.svg SPEED.json...``"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GROWTH = re.compile(r"growth\.(\d+)\.(target_seconds|insertion_seconds)")
TITLES = {"target_seconds": "target vectors", "insertion_seconds": "keys and insertion"}


def plot_growth(documents: Sequence[dict[str, Any]], image: Path) -> None:
    """Draw seconds against facts from evidence of ``python -m tests.evidence speed``, a colour for each model.

    Needs matplotlib.
    """
    from matplotlib.figure import Figure  # an import of a second that only this command needs

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for number, document in enumerate(documents):
        model = document["model"]["reference"].removeprefix("package:")
        for kind, title in TITLES.items():
            points = sorted(
                (int(found[1]), figure_["value"])
                for figure_ in document["figures"]
                if (found := GROWTH.fullmatch(figure_["name"])) and found[2] == kind
            )
            style = "--" if kind == "target_seconds" else "-"
            axes.plot(*zip(*points, strict=True), style, color=f"C{number}", marker="o", label=f"{model}: {title}")
    axes.set(xlabel="facts", ylabel="seconds", xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="svg", metadata={"Date": None})
    temporary.replace(image)


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 for wrong arguments."""
    if len(arguments) < 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    image, *files = map(Path, arguments)
    plot_growth([json.loads(path.read_text(encoding="utf-8")) for path in files], image)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
