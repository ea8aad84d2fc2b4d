"""The heat map of a causal trace (Meng et al. 2022, figure 2): average indirect effect by layer and token role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kbsync.domain.errors import DataError

TITLES = {"residual": "state after the layer", "mlp": "MLP output", "attention": "attention output"}


def plot_trace(evidence: Path, image: Path) -> None:
    """Draw a trace as a PNG: a panel for each kind of state, with a row for each role and a column for each layer.

    The suggested layers are outlined. Needs matplotlib.

    Args:
        evidence: The trace's evidence file.
        image: The file to write.

    Raises:
        DataError: The file holds no trace.
    """
    from matplotlib.figure import Figure  # an import of a second that only this command needs
    from matplotlib.patches import Rectangle

    document = _trace(evidence)
    roles, effects = document["roles"], document["effects"]
    figure = Figure(figsize=(15, 3.2), layout="constrained")
    panels = figure.subplots(1, len(TITLES), sharey=True)
    for axes, (state, title) in zip(panels, TITLES.items(), strict=True):
        grid = [[layer[role]["value"] if role in layer else float("nan") for layer in effects[state]] for role in roles]
        shown = axes.imshow(
            grid, aspect="auto", cmap={"residual": "Purples", "mlp": "Greens"}.get(state, "Reds"), vmin=0
        )
        window = document["settings"]["window"]
        across = "layer" if state == "residual" or window == 1 else f"layer, {window} restored around it"
        axes.set(title=title, xlabel=across)
        axes.set_yticks(range(len(roles)), roles)
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.colorbar(shown, ax=axes)
    layers = document["suggestion"]["layers"]
    if layers:
        row = roles.index("last subject token")
        size = (layers[-1] - layers[0] + 1, 1)
        panels[1].add_patch(
            Rectangle((layers[0] - 0.5, row - 0.5), *size, fill=False, edgecolor="black", linewidth=1.5)
        )
    facts, total = document["data"]["traced"], document["total_effect"]["value"]
    figure.suptitle(
        f"{document['model']['reference']}: average indirect effect over {facts} facts (total effect {total:.3f})",
        fontsize=10,
    )
    temporary = image.with_name(f".{image.name}.tmp")
    figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    temporary.replace(image)


def _trace(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as evidence: {error}.") from error
    if not isinstance(document, dict) or not TITLES.keys() <= document.get("effects", {}).keys():
        raise DataError(f"{path} holds no trace.", next_step="`kbsync trace` writes one.")
    return document
