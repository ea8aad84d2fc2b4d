"""Lines of an earlier result file beside those that are measured now: a further method costs its own time only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kbsync.domain.errors import DataError
from kbsync.research.grid import UNEDITED

_SAME = ("file", "sha256", "part", "known", "cases_sha256")
"""What must be the same of the data."""
_TOLERANCE = 1e-4
"""Of the base's figures, which are measured in both runs: another machine rounds otherwise."""
JUDGED = "_greedy"
"""How the names of figures end that rest on judging answers: the rules of judging change between versions of kbsync."""


def with_kept_lines(document: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the lines of ``earlier`` that it does not have.

    Args:
        document: What was measured now.
        earlier: What the file held, of the same benchmark.

    Returns:
        A document whose ``kept`` says of each kept line at which commit it was measured, and when. Where the base's
        answers were judged otherwise then, kept lines are without figures that rest on judging; ``judged_otherwise``
        says so.

    Raises:
        DataError: The earlier file is of another model, of other cases, or of other measurements.
    """
    judged_otherwise = _require_same(document, earlier)
    if judged_otherwise:
        earlier = _without_judged(earlier)
    measured = {cell["algorithm"] for cell in document["results"]}
    lines = [name for name in earlier["recipes"] if name not in measured]
    when = {"commit": earlier["commit"], "started": earlier["started"]}
    known = earlier.get("kept", {})
    kept_figures = [f for f in earlier["figures"] if f["name"].partition("@")[0] in lines]
    kept_cells = [cell for cell in earlier["results"] if cell["algorithm"] in lines]
    return {
        **document,
        "figures": [*kept_figures, *document["figures"]],
        "recipes": {**{name: earlier["recipes"][name] for name in lines}, **document["recipes"]},
        "results": [*kept_cells, *document["results"]],
        "kept": {name: known.get(name, when) for name in lines},
        "judged_otherwise": judged_otherwise or earlier.get("judged_otherwise", False),
    }


def _require_same(document: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Refuse what can't be compared. Returns whether the base's answers were judged otherwise."""
    differ = [name for name in _SAME if document["data"].get(name) != earlier["data"].get(name)]
    if document["model"]["fingerprint"] != earlier["model"]["fingerprint"]:
        differ.append("model")
    now, before = (_base(one) for one in (document, earlier))
    shared = sorted(now.keys() & before.keys())
    if not shared:
        differ.append("numbers of edits")
    differ += [name for name in shared if not math.isclose(now[name], before[name], rel_tol=_TOLERANCE, abs_tol=1e-6)]
    if not all(name.endswith(JUDGED) for name in differ):
        raise DataError(
            f"The file's lines can't stand beside these: {', '.join(differ)} differ. Nothing was written.",
            next_step="Name another --output, or measure all lines again without --keep.",
        )
    return bool(differ)


def _without_judged(document: Mapping[str, Any]) -> dict[str, Any]:
    cells = []
    for cell in document["results"]:
        estimates = {name: value for name, value in cell["estimates"].items() if not name.endswith(JUDGED)}
        cells.append({**cell, "estimates": estimates})
    figures = [f for f in document["figures"] if not f["name"].endswith(JUDGED)]
    return {**document, "figures": figures, "results": cells}


def _base(document: Mapping[str, Any]) -> dict[str, float]:
    """The unedited base's figures by name."""
    return {f["name"]: f["value"] for f in document["figures"] if f["name"].partition("@")[0] == UNEDITED}
