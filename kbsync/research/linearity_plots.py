"""Plots of ``kbsync trace relations``: faithfulness by relation and layer, and editing beside faithfulness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kbsync.domain.errors import DataError


def plot_layers(evidence: Path, image: Path) -> None:
    """Draw a heat map: a row for each relation, the most faithful first, and a column for each layer.

    The cells are the best faithfulness over β on the half that layers are chosen on; the chosen layer is outlined.

    Args:
        evidence: The evidence file.
        image: The PNG to write.

    Raises:
        DataError: The file holds no such evidence.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    document = _document(evidence)
    ranked = sorted(document["relations"].items(), key=lambda item: -item[1]["faithfulness"])
    layers = document["settings"]["layers"]
    figure = Figure(figsize=(2.5 + 0.5 * len(layers), 1.5 + 0.26 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    grid = [[result["by_layer"][str(layer)] for layer in layers] for _, result in ranked]
    shown = axes.imshow(grid, aspect="auto", cmap="Purples", vmin=0, vmax=1)
    axes.set_xticks(range(len(layers)), layers)
    axes.set_yticks(range(len(ranked)), [f"{name}  {result['faithfulness']:.2f}" for name, result in ranked])
    axes.set(xlabel="layer", title=f"{document['model']['reference']}: faithfulness", ylabel="relation, measured")
    for row, (_, result) in enumerate(ranked):
        column = layers.index(result["layer"])
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.2))
    figure.colorbar(shown, ax=axes)
    _save(figure, image)


def plot_editing(evidence: Path, image: Path) -> None:
    """Draw a point for each relation: how linear it is, and how well its facts are written.

    Args:
        evidence: The evidence file of a run with edits.
        image: The PNG to write.

    Raises:
        DataError: The file holds no such evidence.
    """
    from matplotlib.figure import Figure

    document = _document(evidence)
    values = {figure["name"]: figure["value"] for figure in document["figures"]}
    names = [name for name in document["relations"] if f"{name}.editing" in values]
    if not names:
        raise DataError(f"{evidence} holds no edits.", next_step="Run `kbsync trace relations` with --edits.")
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in names:
        point = values[f"{name}.faithfulness"], values[f"{name}.editing"]
        axes.scatter(*point, color="tab:purple", s=20)
        axes.annotate(name, point, textcoords="offset points", xytext=(4, 3), fontsize=7)
    axes.set(
        xlabel="faithfulness of the linear map",
        ylabel="written facts that are said",
        xlim=(-0.03, 1.05),
        ylim=(-0.03, 1.05),
        title=f"{document['model']['reference']}: r = {values['correlation_with_editing']:.2f}, n = {len(names)}",
    )
    _save(figure, image)


def _save(figure: Any, image: Path) -> None:
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    temporary.replace(image)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["relations"], document["settings"]["layers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no relations that were traced.", next_step="`kbsync trace relations` writes such a file."
        ) from error
    return dict(document)
