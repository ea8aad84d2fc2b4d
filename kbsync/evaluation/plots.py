"""The headline figure of the MEMIT paper (figure 5): editing scores against the number of edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kbsync.domain.errors import DataError

PANELS = {
    "score": "Editing score",
    "efficacy_success": "Efficacy",
    "generalization_success": "Generalization",
    "specificity_success": "Specificity",
}


def plot_scaling(evidence: Path, image: Path) -> None:
    """Draw a scaling run's evidence file as a PNG: four panels, one line an algorithm, bars the 95 % intervals.

    Raises ``DataError`` where the file holds no scaling run. Needs matplotlib.
    """
    from matplotlib.figure import Figure  # an import of a second that only this command needs

    document = _scaling(evidence)
    lines: dict[str, list[dict[str, Any]]] = {}
    for cell in document["results"]:
        lines.setdefault(cell["algorithm"], []).append(cell)
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        for algorithm, cells in lines.items():
            edits = [cell["edits"] for cell in cells]
            estimates = [cell["estimates"][name] for cell in cells]
            values = [100 * e["value"] for e in estimates]
            below = [100 * max(0.0, e["value"] - e["low"]) for e in estimates]
            above = [100 * max(0.0, e["high"] - e["value"]) for e in estimates]
            axes.errorbar(edits, values, yerr=[below, above], label=algorithm, marker="o", markersize=4, capsize=2)
        axes.set(title=title, xlabel="edits", xscale="log", ylim=(0, 102))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("per cent")
    figure.axes[-1].legend()
    model = document["model"]
    figure.suptitle(f"CounterFact, {model['reference']}, all facts of a point written in one edit", fontsize=10)
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="png", dpi=150)
    temporary.replace(image)


def _scaling(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as evidence: {error}.") from error
    cells = document.get("results") if isinstance(document, dict) else None
    if not cells or not all(PANELS.keys() <= cell.get("estimates", {}).keys() for cell in cells):
        raise DataError(f"{path} holds no scaling run.", next_step="`kbsync bench scaling` writes one.")
    return dict(document)
