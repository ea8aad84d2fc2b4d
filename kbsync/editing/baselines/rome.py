"""ROME: one layer, one rank-one change a fact, the fact's key answered exactly (Meng et al., NeurIPS 2022, equation 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.domain.version import LayerReport
from kbsync.editing.baselines.sequential import merged
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.editor import Job, TorchEditor, Written, survivors
from kbsync.editing.memit.insertion import Insertion, PreNormInsertion
from kbsync.editing.memit.keys import Climb
from kbsync.editing.memit.spread import Growing, growing
from kbsync.editing.memit.target_cache import Found, TargetShelf
from kbsync.editing.memit.targets import Target
from kbsync.editing.solve import Factor, condition_of, divided, factorise
from kbsync.editing.subject import Task


class RomeEditor(TorchEditor):
    """Facts one after the other, in the order of their ids, each on the weights that hold those before.

    Δ = (v* − W k*) (C⁻¹k*)ᵀ / (k*ᵀ C⁻¹ k*). The value v* is what the down projection must put out at the bare prompt's
    subject, and k* the plain mean of the keys over all prompts (equation 3). ROME has no place for guards, and no memory:
    it forgets within some hundred facts (that is what MEMIT was made for).
    """

    def _write(self, job: Job) -> Written:
        if len(job.layers) != 1:
            raise EditError(
                f"ROME edits one layer, and the recipe {job.recipe.name!r} names {len(job.layers)}.",
                next_step="Name one layer in the recipe.",
            )
        known = covariances(
            self._decoder, self._tokenizer, self._texts, job.recipe, self._base, self._artifacts, job.work
        )
        factor = factorise(known.matrices[job.layers[0].index])
        place = PreNormInsertion(self._decoder, job.layers)
        shelf = TargetShelf(self._artifacts, self._base, place, job)
        founds: list[Found] = []
        reports = []
        job.work.start("facts", len(job.tasks))
        with growing(job, self._decoder.model) as weights:
            for task in job.tasks:
                found = shelf.find([task], weights.hash, announce=False)
                founds.append(found)
                for target in found.targets.values():
                    reports.append(_one(task, target, place, factor, weights))
                job.work.advance()
            lost = {i: reason for f in founds for i, reason in f.lost.items()}
            survivors(job.tasks, lost)
            delta = weights.delta()
        job.work.finish(f"{sum(f.reused for f in founds)} target vectors were known")
        whole = merged(reports, [1] * len(reports))
        return Written(
            delta=delta,
            layers=(whole,),
            losses={i: target.loss for f in founds for i, target in f.targets.items()},
            targets={i: digest for f in founds for i, digest in f.hashes.items()},
            lost=lost,
            reused=sum(f.reused for f in founds),
            covariance=known.fingerprint,
        )


def _one(task: Task, target: Target, place: Insertion, factor: Factor, weights: Growing) -> LayerReport:
    """Write one fact; the residuals are those of its own key, and of the bare prompt afterwards."""
    (layer,) = place.layers
    climb = Climb(place.decoder, place.layers, [task.prompts], bare=None)
    key = climb.look(0)[0][0].double()
    wanted = target.goal[0].double()
    residual = wanted - (layer.down.weight.double().cpu() @ key + _bias(layer.down.module))
    left, right, ridge = rank_one(factor, key, residual)
    ratio = weights.add(layer, left, right)
    after = place.remainder(target.goal[None], climb, 0)
    return LayerReport(
        layer=layer.index,
        residual_before=float(residual.norm()),
        residual_after=float(after.norm()),
        delta_ratio=ratio,
        condition=condition_of(factor),
        ridge=ridge,
    )


def rank_one(factor: Factor, key: Tensor, residual: Tensor) -> tuple[Tensor, Tensor, float]:
    """Factors (out, 1), (1, m) of the change that adds ``residual`` (out,) at ``key`` (m,), and C's ridge.

    Raises ``EditError`` for numbers that are not finite, and for a key of nothing.
    """
    direction = divided(key[:, None], factor.lower)[:, 0]
    scale = float(key @ direction)
    if not (torch.isfinite(key).all() and torch.isfinite(residual).all()) or scale <= 0:
        raise EditError("A key or a value holds non-finite numbers, or nothing.", next_step="Look at the model.")
    return residual[:, None], direction[None] / scale, factor.ridge


def _bias(module: torch.nn.Module) -> Tensor | float:
    bias = getattr(module, "bias", None)
    return 0.0 if bias is None else bias.double().cpu()
