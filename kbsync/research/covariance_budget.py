"""How much text the key covariance needs: the editing score by source of text and number of tokens.

Target vectors don't depend on the covariance, so only the first line searches them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbsync.domain.errors import DataError
from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.research.bench import Data, Extent, run_lines
from kbsync.research.grid import Algorithm, Bench
from kbsync.research.metrics import GROUPS

SHOWN = ("score", *(f"{group}_success" for group in GROUPS))


def run_covariance(
    bench: Bench,
    data: Data,
    recipe: Recipe,
    sources: dict[str, Callable[[Recipe, str], Algorithm]],
    *,
    budgets: Iterable[int],
    edits: int,
    extent: Extent,
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """Edit ``edits`` CounterFact cases once for every source of text and every budget of tokens.

    Args:
        bench: The model and its stores.
        data: CounterFact cases.
        recipe: All of it but ``covariance_tokens`` is the same in every line.
        sources: By name, what makes a line of a recipe and the line's name (``source:tokens``).
        budgets: Numbers of tokens.
        edits: Cases that are written in one edit.
        extent: How much is measured.
        targets: Demands on figures.

    Returns:
        The evidence document.

    Raises:
        DataError, EditError, Stopped: As :func:`kbsync.research.bench.run_counterfact`.
    """
    sizes = sorted(set(budgets))
    lines = [
        line(replace(recipe, covariance_tokens=size), f"{source}:{size}")
        for source, line in sources.items()
        for size in sizes
    ]
    return run_lines(bench, data, lines, [edits], extent, targets, "kbsync bench covariance")


def plot_covariance(evidence: Path, image: Path) -> None:
    """Draw a covariance run as a PNG: scores against tokens, a line for each source, bars for the 95 % intervals.

    Needs matplotlib.

    Args:
        evidence: The run's evidence file.
        image: The file to write.

    Raises:
        DataError: The file holds no such run.
    """
    from matplotlib.figure import Figure  # an import of a second that only this command needs

    document = json.loads(evidence.read_text(encoding="utf-8"))
    lines = _lines(document.get("results", ()))
    if not lines:
        raise DataError(f"{evidence} holds no covariance run.", next_step="`kbsync bench covariance` writes one.")
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(SHOWN), sharey=True), SHOWN, strict=True):
        for source, points in lines.items():
            estimates = [cell["estimates"][name] for _, cell in points]
            values = [100 * e["value"] for e in estimates]
            bars = [[100 * abs(e["value"] - e[side]) for e in estimates] for side in ("low", "high")]
            axes.errorbar(
                [tokens for tokens, _ in points], values, yerr=bars, label=source, marker="o", markersize=4, capsize=2
            )
        axes.set(title=name.removesuffix("_success").capitalize(), xlabel="tokens", xscale="log")
        budgets = sorted({tokens for points in lines.values() for tokens, _ in points})
        axes.set_xticks(budgets, [f"{tokens:,}" for tokens in budgets], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("per cent")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines))
    figure.suptitle(f"Key covariance: text and tokens, {document['model']['reference']}", fontsize=10)
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="png", dpi=150)
    temporary.replace(image)


def _lines(cells: Sequence[dict[str, Any]]) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """(tokens, cell) by source; cells with other names, such as the base, are left out."""
    lines: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for cell in cells:
        source, _, tokens = str(cell["algorithm"]).rpartition(":")
        if source and tokens.isdigit():
            lines.setdefault(source, []).append((int(tokens), cell))
    return lines
