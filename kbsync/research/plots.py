"""Plots of editing scores against the number of edits (figure 5 of the MEMIT paper), and of a recipe's capacity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kbsync.domain.errors import DataError
from kbsync.research.grid import UNEDITED

PANELS = {
    "score": "Editing score",
    "efficacy_success": "Efficacy",
    "generalization_success": "Generalization",
    "specificity_success": "Specificity",
}


def plot_scaling(evidence: Path, image: Path) -> None:
    """Draw a scaling run as a PNG: four panels, a line for each algorithm, bars for the 95 % intervals.

    Needs matplotlib.

    Args:
        evidence: The run's evidence file.
        image: The file to write.

    Raises:
        DataError: The file holds no scaling run.
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
            _points(axes, edits, [cell["estimates"][name] for cell in cells], algorithm)
        axes.set(title=title, xlabel="edits", xscale="log", ylim=(0, 102))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("per cent")
    figure.axes[-1].legend()
    model = document["model"]
    figure.suptitle(f"CounterFact, {model['reference']}, all facts of a point written in one edit", fontsize=10)
    _save(figure, image)


def plot_capacity(evidence: Path, image: Path) -> None:
    """Draw a capacity run as a PNG: score, specificity and growth of the perplexity against the number of facts.

    Bars are the 95 % intervals, dashed lines the demands, a dotted line the limit. Needs matplotlib.

    Args:
        evidence: The run's evidence file.
        image: The file to write.

    Raises:
        DataError: The file holds no capacity run.
    """
    from matplotlib.figure import Figure  # an import of a second that only this command needs

    document = _document(evidence)
    capacity = document.get("capacity")
    if not capacity or not capacity.get("sizes"):
        raise DataError(f"{evidence} holds no capacity run.", next_step="`kbsync bench capacity` writes one.")
    cells = [c for c in document["results"] if c["algorithm"] == capacity["algorithm"]]
    base = [c for c in document["results"] if c["algorithm"] == UNEDITED]
    edits = [cell["edits"] for cell in cells]
    bounds = {demand["metric"]: demand for demand in capacity["demands"]}
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    score, specificity, growth = figure.subplots(1, 3)
    _points(score, edits, [c["estimates"]["score"] for c in cells], "edited")
    score.set(title="Editing score", ylabel="per cent", ylim=(0, 102))
    _points(specificity, edits, [c["estimates"]["specificity_success"] for c in cells], "edited")
    of_base = [100 * c["estimates"]["specificity_success"]["value"] for c in base]
    specificity.plot(edits, of_base, color="0.4", linewidth=1, label="base")
    if drop := bounds.get("specificity_success", {}).get("max_drop"):
        specificity.plot(edits, [v - 100 * drop for v in of_base], "--", color="0.4", linewidth=1, label="demanded")
    specificity.set(title="Specificity", ylim=(0, 102))
    _points(growth, edits, [size["perplexity_growth"] for size in capacity["sizes"]], "edited")
    if most := bounds.get("perplexity", {}).get("max_growth"):
        growth.axhline(100 * most, linestyle="--", color="0.4", linewidth=1, label="demanded")
    growth.set(title="Growth of the perplexity", yscale="symlog")
    for axes in (score, specificity, growth):
        axes.set(xlabel="facts in one version", xscale="log")
        axes.grid(alpha=0.3)
        if capacity["limit"]:
            axes.axvline(capacity["limit"], linestyle=":", color="C3", label=f"limit {capacity['limit']}")
        axes.legend(fontsize=8)
    (recipe,) = document["recipes"].values()
    figure.suptitle(f"{document['model']['reference']}, recipe {recipe['name']}, CounterFact", fontsize=10)
    _save(figure, image)


def _points(axes: Any, edits: list[int], estimates: list[dict[str, float]], label: str) -> None:
    """Values in per cent with their intervals."""
    values = [100 * e["value"] for e in estimates]
    below = [100 * max(0.0, e["value"] - e["low"]) for e in estimates]
    above = [100 * max(0.0, e["high"] - e["value"]) for e in estimates]
    axes.errorbar(edits, values, yerr=[below, above], label=label, marker="o", markersize=4, capsize=2)


def _save(figure: Any, image: Path) -> None:
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="png", dpi=150)
    temporary.replace(image)


def _scaling(path: Path) -> dict[str, Any]:
    document = _document(path)
    cells = document.get("results")
    if not cells or not all(PANELS.keys() <= cell.get("estimates", {}).keys() for cell in cells):
        raise DataError(f"{path} holds no scaling run.", next_step="`kbsync bench scaling` writes one.")
    return document


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as evidence: {error}.") from error
    return dict(document) if isinstance(document, dict) else {}
