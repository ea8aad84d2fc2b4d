"""Facts in steps, each on the weights that hold the steps before: for more facts than one edit can take (ADR 0014).

MEMIT and ROME collapse within a few hundred steps when they forget what they wrote. Here the keys of all earlier steps
stay in the matrix that is inverted: Δ = R Kᵀ (λC + Kₚ Kₚᵀ + K Kᵀ)⁻¹ (Fang et al., ICLR 2025, equation 15 with MEMIT's
C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.domain.version import LayerReport
from kbsync.editing.common.cholesky import factorise
from kbsync.editing.common.edited_weights import EditedWeights, edited_weights
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.editing.memit.columns import mean_columns
from kbsync.editing.memit.insertion import Insertion, insertion_for
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.preserved import PreservedKeys, preserved_prompts
from kbsync.editing.memit.solve import Penalty
from kbsync.editing.memit.spread import LayerEdits, spread
from kbsync.editing.memit.target_cache import FoundTargets, TargetCache
from kbsync.model.suffix import longest_row


@dataclass(slots=True)
class PastKeys:
    """What counts at one layer beside the facts that are written now, as it grows from step to step."""

    matrix: Tensor
    """λC + Kₚ Kₚᵀ (q, q), float64, in the coordinates of ``basis`` where there is one."""
    basis: Tensor | None = None
    """(m, q), orthonormal: AlphaEdit's null space."""

    def penalty(self) -> Penalty:
        """What the next step's change is weighed against."""
        return Penalty(factorise(self.matrix), 1.0, self.basis)

    def remember(self, keys: Tensor) -> None:
        """Add keys (m, N) of facts that are written now, which later steps must leave as they are."""
        within = keys.double() if self.basis is None else self.basis.T @ keys.double()
        self.matrix = self.matrix + within @ within.T


class SequentialEditor(TorchEditor):
    """``recipe.batch`` facts a step, in the order of their ids: the weights depend on the facts alone and not on their
    history. Target vectors are searched on the weights in place, and stored under the hash of those."""

    def _write(self, job: EditJob) -> AlgorithmResult:
        covariances = self._covariances(job)
        pasts = [self._past(covariances.matrices[layer.index], job.recipe) for layer in job.layers]
        insertion = insertion_for(self._decoder, job.layers)
        cache = TargetCache(insertion, job)
        size = job.recipe.batch
        steps = [job.rewrites[i : i + size] for i in range(0, len(job.rewrites), size)]
        job.work.start("steps", len(steps) * len(job.layers))
        found_by_step: list[FoundTargets] = []
        edits: list[tuple[int, LayerEdits]] = []
        with edited_weights(self._decoder.model) as weights:
            for rewrites in steps:
                found = cache.find(rewrites, weights.hash, announce=False)
                found_by_step.append(found)
                left = [r for r in rewrites if r.id not in found.failed]
                if left:
                    edits.append((len(left), self._step(left, found, insertion, pasts, weights, job)))
            survivors(job.rewrites, {i: reason for f in found_by_step for i, reason in f.failed.items()})
            delta = weights.delta()
        job.work.finish(f"{sum(f.reused for f in found_by_step)} target vectors were known")
        counts = [count for count, _ in edits]
        return AlgorithmResult(
            delta=delta,
            layers=tuple(merged([e.reports[n] for _, e in edits], counts) for n in range(len(job.layers))),
            losses={i: target.loss for f in found_by_step for i, target in f.targets.items()},
            targets={i: digest for f in found_by_step for i, digest in f.hashes.items()},
            failed={i: reason for f in found_by_step for i, reason in f.failed.items()},
            reused=sum(f.reused for f in found_by_step),
            covariance=covariances.fingerprint,
        )

    def _past(self, covariance: Tensor, recipe: Recipe) -> PastKeys:
        """What counts before anything is written: λC."""
        return PastKeys(recipe.covariance_weight * covariance.double())

    def _step(
        self,
        rewrites: Sequence[TokenisedRewrite],
        found: FoundTargets,
        insertion: Insertion,
        pasts: Sequence[PastKeys],
        weights: EditedWeights,
        job: EditJob,
    ) -> LayerEdits:
        prompts = preserved_prompts(self._tokenizer, job.preserved, job.rewrites, longest_row(self._decoder))
        preserved = PreservedKeys(self._decoder, job.layers, prompts, job.recipe)
        columns = mean_columns(rewrites, found.targets)
        forward = LayerwiseForward(self._decoder, job.layers, [c.prompts for c in columns])
        edits = spread(
            columns,
            insertion,
            forward,
            lambda position: pasts[position].penalty(),
            preserved,
            weights,
            job.work,
        )
        for past, keys in zip(pasts, edits.keys, strict=True):
            past.remember(keys)
        return edits


def merged(reports: Sequence[LayerReport], counts: Sequence[int]) -> LayerReport:
    """One layer's reports of all steps as one: residuals are means over the facts, condition and ridge the worst.

    Args:
        counts: Number of facts of each step.
    """

    def mean(of: Callable[[LayerReport], float]) -> float:
        return sum(of(r) * n for r, n in zip(reports, counts, strict=True)) / sum(counts)

    return replace(
        reports[-1],
        residual_before=mean(lambda r: r.residual_before),
        residual_after=mean(lambda r: r.residual_after),
        condition=max(r.condition for r in reports),
        ridge=max(r.ridge for r in reports),
    )
