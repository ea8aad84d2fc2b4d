"""ROME: one layer, one rank-one change for each fact, whose key is answered exactly (Meng et al., NeurIPS 2022,
equation 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.domain.version import LayerReport
from kbsync.editing.baselines.sequential import merged
from kbsync.editing.common.cholesky import Factor, condition_of, inverse_times
from kbsync.editing.common.edited_weights import EditedWeights, edited_weights
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.covariance.kept_factors import factor_of
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.editing.memit.insertion import Insertion, SandwichNormInsertion
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.target_cache import FoundTargets, TargetCache
from kbsync.editing.memit.target_pool import Target


class RomeEditor(TorchEditor):
    """Facts one after the other, in the order of their ids, each on the weights that hold those before.

    Δ = (v* − W k*) (C⁻¹k*)ᵀ / (k*ᵀ C⁻¹ k*). The value v* is what the down projection must put out at the bare prompt's
    subject, which is the site of ``SandwichNormInsertion`` at one layer, and k* is the plain mean of the keys over all
    prompts (equation 3). ROME has no place for preserved keys and no memory: it forgets within some hundred facts,
    which is what MEMIT was made for.
    """

    def _write(self, job: EditJob) -> AlgorithmResult:
        if len(job.layers) != 1:
            raise EditError(
                f"ROME edits one layer, and the recipe {job.recipe.name!r} names {len(job.layers)}.",
                next_step="Name one layer in the recipe.",
            )
        covariances = self._covariances(job)
        factor = factor_of(covariances, job.layers[0].index, job.artifacts)
        insertion = SandwichNormInsertion(self._decoder, job.layers)
        cache = TargetCache(insertion, job)
        found_by_fact: list[FoundTargets] = []
        reports = []
        job.work.start("facts", len(job.rewrites))
        with edited_weights(self._decoder.model) as weights:
            for rewrite in job.rewrites:
                found = cache.find([rewrite], weights.hash, announce=False)
                found_by_fact.append(found)
                for target in found.targets.values():
                    reports.append(_write_one(rewrite, target, insertion, factor, weights))
                job.work.advance()
            failed = {i: reason for f in found_by_fact for i, reason in f.failed.items()}
            survivors(job.rewrites, failed)
            delta = weights.delta()
        job.work.finish(f"{sum(f.reused for f in found_by_fact)} target vectors were known")
        return AlgorithmResult(
            delta=delta,
            layers=(merged(reports, [1] * len(reports)),),
            losses={i: target.loss for f in found_by_fact for i, target in f.targets.items()},
            targets={i: digest for f in found_by_fact for i, digest in f.hashes.items()},
            failed=failed,
            reused=sum(f.reused for f in found_by_fact),
            covariance=covariances.fingerprint,
        )


def _write_one(
    rewrite: TokenisedRewrite, target: Target, insertion: Insertion, factor: Factor, weights: EditedWeights
) -> LayerReport:
    """Write one fact. The residuals are that of its key k*, and that of the bare prompt afterwards."""
    (layer,) = insertion.layers
    forward = LayerwiseForward(insertion.decoder, insertion.layers, [rewrite.prompts], bare_share=None)
    key = forward.inspect()[0][0].double()
    value = target.z[0, 0].double()
    residual = value - (layer.down.weight.double().cpu() @ key + _bias(layer.down.module))
    left, right, ridge = rank_one(factor, key, residual)
    ratio = weights.add(layer, left, right)
    distance_left = insertion.pass_layer(target.z[:1], forward)
    return LayerReport(
        layer=layer.index,
        residual_before=float(residual.norm()),
        residual_after=float(distance_left.norm()),
        delta_ratio=ratio,
        condition=condition_of(factor),
        ridge=ridge,
    )


def rank_one(factor: Factor, key: Tensor, residual: Tensor) -> tuple[Tensor, Tensor, float]:
    """The change that adds ``residual`` (out,) at ``key`` (m,), both float64.

    Returns:
        Its factors (out, 1) and (1, m), and C's ridge.

    Raises:
        EditError: A number is not finite, or the key is zero.
    """
    direction = inverse_times(factor.lower, key[:, None])[:, 0]
    scale = float(key @ direction)
    if not (torch.isfinite(key).all() and torch.isfinite(residual).all()) or scale <= 0:
        raise EditError("A key or a value holds non-finite numbers, or nothing.", next_step="Look at the model.")
    return residual[:, None], direction[None] / scale, factor.ridge


def _bias(module: torch.nn.Module) -> Tensor | float:
    bias = getattr(module, "bias", None)
    return 0.0 if bias is None else bias.double().cpu()
