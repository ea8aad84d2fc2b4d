"""MEND as an editor: one gradient of each fact, one pass through a trained network, one change."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import LayerReport
from kbsync.editing.baselines.finetune import NOT_FINITE
from kbsync.editing.common.low_rank import compressed
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.editing.mend.gradients import LinearMap, linear_maps, token_gradients
from kbsync.editing.mend.network import MendNetwork
from kbsync.model.decoder import DecoderLayer
from kbsync.model.delta import FactorDelta
from kbsync.ports import ArtifactStore

KIND = "mend"
"""Of a trained network in the artifact store."""
GRADIENTS = "gradients"
"""The step of an edit that takes the facts' gradients, as it is shown."""
ROWS = 16
"""Facts in one pass."""


def network_key(base: str, recipe: Recipe) -> str:
    """Under which the network that was trained for this base by this recipe is stored."""
    return content_hash(["mend", base, recipe.fingerprint])


class MendEditor(TorchEditor):
    """All facts' changes are added up. There are no target vectors and no covariance, and nothing is preserved but what
    the training taught."""

    def _write(self, job: EditJob) -> AlgorithmResult:
        maps = linear_maps(self._decoder, job.layers)
        network = stored_network(MendNetwork.for_maps(maps, job.recipe.rank, job.recipe.seed), job)
        parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        losses: dict[str, float] = {}
        job.work.start(GRADIENTS, len(job.rewrites))
        for begin in range(0, len(job.rewrites), ROWS):
            some = job.rewrites[begin : begin + ROWS]
            gradients, nll = token_gradients(self._decoder, maps, [r.bare for r in some])
            losses |= {r.id: loss for r, loss in zip(some, nll, strict=True)}
            with torch.no_grad():
                for gradient, loss in zip(gradients, nll, strict=True):
                    for name in gradient if math.isfinite(loss) else ():
                        left, right = network.change(name, gradient[name])
                        parts[name].append((left.double().cpu(), right.double().cpu()))
            job.work.advance(len(some))
        job.work.finish()
        failed = {i: NOT_FINITE for i, loss in losses.items() if not math.isfinite(loss)}
        survivors(job.rewrites, failed)
        factors = {}
        for one in maps:
            lefts, rights = zip(*parts[one.name], strict=True)
            left, right = compressed(torch.cat(lefts, dim=1), torch.cat(rights))
            factors[one.name] = (left.float().contiguous(), right.float().contiguous())
        return AlgorithmResult(
            delta=FactorDelta(factors),
            layers=tuple(
                _report(layer, [one for one in maps if one.layer == layer.index], factors) for layer in job.layers
            ),
            losses=losses,
            targets={},
            failed=failed,
            reused=0,
            covariance="",
        )


def _report(
    layer: DecoderLayer, maps: Sequence[LinearMap], factors: Mapping[str, tuple[Tensor, Tensor]]
) -> LayerReport:
    """How far all maps of a layer moved together."""
    changes = [factors[one.name][0].double() @ factors[one.name][1].double() for one in maps]
    moved, whole = (
        sum(float(part.double().pow(2).sum()) for part in parts) for parts in (changes, [one.weight for one in maps])
    )
    return LayerReport(
        layer=layer.index, residual_before=0.0, residual_after=0.0, delta_ratio=(moved / whole) ** 0.5, condition=1.0
    )


def stored_network(network: MendNetwork, job: EditJob) -> MendNetwork:
    """The network with what was trained for this base. Raises ``EditError`` where nothing was."""
    data = trained(job.artifacts, job.base, job.recipe)
    if data is None:
        raise EditError(
            f"No network was trained for this model by the recipe {job.recipe.name!r}; nothing was written.",
            next_step=f"Run `kbsync bench mend FILE --recipe {job.recipe.name}` first, with this model and state.",
        )
    network.load_bytes(data)
    return network


def trained(artifacts: ArtifactStore, base: str, recipe: Recipe) -> bytes | None:
    """The stored network; None where none was trained."""
    return artifacts.get(KIND, network_key(base, recipe))
