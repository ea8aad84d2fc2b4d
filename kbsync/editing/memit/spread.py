"""The layer-by-layer part of MEMIT: each edited layer takes its share of what is still missing.

Source: MEMIT, section 4.2.2 and algorithm 1, lines 5 to 15.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kbsync.domain.version import LayerReport
from kbsync.editing.common.edited_weights import EditedWeights
from kbsync.editing.memit.columns import Column
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.preserved import PreservedKeys
from kbsync.editing.memit.solve import Penalty, solve
from kbsync.model.decoder import DecoderLayer
from kbsync.model.delta import FactorDelta
from kbsync.ports import Work


@dataclass(frozen=True, slots=True)
class LayerEdits:
    """What was done to the edited layers, ascending."""

    reports: list[LayerReport]
    keys: list[Tensor]
    """Each layer's keys (m, N), as it saw them when it was edited."""


def spread(
    columns: Sequence[Column],
    insertion: Insertion,
    forward: LayerwiseForward,
    penalty_of: Callable[[int], Penalty],
    preserved: PreservedKeys,
    weights: EditedWeights,
    work: Work,
    column_weights: Tensor | None = None,
) -> LayerEdits:
    """Write ``columns`` into the edited layers, from the lowest up.

    Args:
        forward: The columns' prompts before the first edited layer.
        penalty_of: The penalty of the n-th edited layer. Asked once for each layer, because a penalty is as large as a
            covariance.
        preserved: Keys that must not move, before the first edited layer.
        weights: Takes the changes; each layer is edited on the copy that holds the changes below it.
        work: Advances by one for each layer.
        column_weights: (N,), each column's weight in the least squares, by whose root its key and residual are scaled.
            None: all 1.
    """
    root = 1.0 if column_weights is None else column_weights.sqrt()
    z = torch.stack([column.z for column in columns])
    reports, all_keys = [], []
    for position, layer in enumerate(insertion.layers):
        penalty = penalty_of(position)
        keys, distance, residual = insertion.residual(z, forward)
        solution = solve(penalty, keys.T * root, residual.T * root, preserved.keys())
        ratio = weights.add(layer, solution.left, solution.right)
        distance_left = insertion.pass_layer(z, forward)
        preserved.step()
        all_keys.append(keys.T)
        reports.append(
            LayerReport(
                layer=layer.index,
                residual_before=float(distance.norm(dim=1).mean()),
                residual_after=float(distance_left.norm(dim=1).mean()),
                delta_ratio=ratio,
                condition=solution.condition,
                ridge=solution.ridge,
                free=None if penalty.basis is None else penalty.basis.shape[1],
            )
        )
        work.advance()
        del penalty  # the next one would come beside it
    return LayerEdits(reports, all_keys)


def with_ratio(report: LayerReport, delta: FactorDelta, layer: DecoderLayer) -> LayerReport:
    """The report with the size that the layer's change has in ``delta``."""
    left, right = delta.factors[layer.down.name]
    ratio = float((left.double() @ right.double()).norm() / layer.down.weight.detach().double().norm())
    return replace(report, delta_ratio=ratio)
