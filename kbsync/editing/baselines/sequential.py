"""Facts in steps, each on the weights that hold the steps before: for lineages that outgrow one mass edit (ADR 0014).

MEMIT and ROME collapse within a few hundred steps when they forget what they wrote. Here the keys of all earlier steps
stay in the normal matrix: Δ = R Kᵀ (λC + Kₚ Kₚᵀ + K Kᵀ)⁻¹ (Fang et al., ICLR 2025, equation 15 with MEMIT's C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.domain.version import LayerReport
from kbsync.editing.baselines.nullspace import null_space
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.editor import Job, TorchEditor, Written, prompts_of, survivors
from kbsync.editing.memit.insertion import Insertion, insertion
from kbsync.editing.memit.keys import Climb
from kbsync.editing.memit.preserved import Still, guard_prompts
from kbsync.editing.memit.spread import Growing, Normal, Spread, growing, spread
from kbsync.editing.memit.target_cache import Found, TargetShelf
from kbsync.editing.solve import factorise
from kbsync.editing.subject import Task
from kbsync.model.suffix import longest


@dataclass(slots=True)
class Past:
    """One layer's normal matrix as it grows: ``matrix`` (q, q) float64, in the coordinates of ``basis`` where there is
    one (m, q)."""

    matrix: Tensor
    basis: Tensor | None = None

    def normal(self) -> Normal:
        return Normal(factorise(self.matrix), 1.0, self.basis)

    def remember(self, keys: Tensor) -> None:
        """Keys (m, N) of facts that are written now, which later steps must leave as they are."""
        inside = keys.double() if self.basis is None else self.basis.T @ keys.double()
        self.matrix = self.matrix + inside @ inside.T


class SequentialEditor(TorchEditor):
    """``recipe.batch`` facts a step, in the order of their ids: the weights hang on the facts alone, not on their
    history. Target vectors are searched on the weights in place, and kept under the hash of those."""

    def _write(self, job: Job) -> Written:
        known = covariances(
            self._decoder, self._tokenizer, self._texts, job.recipe, self._base, self._artifacts, job.work
        )
        pasts = [self._past(known.matrices[layer.index], job.recipe) for layer in job.layers]
        place = insertion(self._decoder, job.layers)
        shelf = TargetShelf(self._artifacts, self._base, place, job)
        size = job.recipe.batch
        steps = [job.tasks[i : i + size] for i in range(0, len(job.tasks), size)]
        job.work.start("steps", len(steps) * len(job.layers))
        founds: list[Found] = []
        done: list[tuple[int, Spread]] = []
        with growing(job, self._decoder.model) as weights:
            for tasks in steps:
                found = shelf.find(tasks, weights.hash, announce=False)
                founds.append(found)
                left = [t for t in tasks if t.request.id not in found.lost]
                if left:
                    done.append((len(left), self._step(left, found, place, pasts, weights, job)))
            survivors(job.tasks, {i: reason for f in founds for i, reason in f.lost.items()})
            delta = weights.delta()
        job.work.finish(f"{sum(f.reused for f in founds)} target vectors were known")
        return Written(
            delta=delta,
            layers=tuple(merged([s.reports[i] for _, s in done], [n for n, _ in done]) for i in range(len(job.layers))),
            losses={i: target.loss for f in founds for i, target in f.targets.items()},
            targets={i: digest for f in founds for i, digest in f.hashes.items()},
            lost={i: reason for f in founds for i, reason in f.lost.items()},
            reused=sum(f.reused for f in founds),
            covariance=known.fingerprint,
        )

    def _past(self, covariance: Tensor, recipe: Recipe) -> Past:
        """What counts before anything is written: λC."""
        return Past(recipe.covariance_weight * covariance.double())

    def _step(
        self,
        tasks: Sequence[Task],
        found: Found,
        place: Insertion,
        pasts: Sequence[Past],
        weights: Growing,
        job: Job,
    ) -> Spread:
        guards = guard_prompts(self._tokenizer, job.guards, job.tasks, longest(self._decoder))
        still = Still(self._decoder, job.layers, guards, job.recipe)
        climb = Climb(self._decoder, job.layers, prompts_of(tasks))
        made = spread(tasks, found.targets, place, climb, lambda step: pasts[step].normal(), still, weights, job)
        for past, keys in zip(pasts, made.keys, strict=True):
            past.remember(keys)
        return made


class AlphaEditor(SequentialEditor):
    """AlphaEdit: the change is held to the null space of ordinary text's keys, Δ = R KᵀP (Kₚ KₚᵀP + K KᵀP + L·I)⁻¹ with L
    the recipe's ``covariance_weight`` (Fang et al., ICLR 2025, equation 14; solved in the null space's coordinates)."""

    def _past(self, covariance: Tensor, recipe: Recipe) -> Past:
        basis = null_space(covariance, recipe.null_space_share)
        return Past(recipe.covariance_weight * torch.eye(basis.shape[1], dtype=torch.float64), basis)


def merged(reports: Sequence[LayerReport], counts: Sequence[int]) -> LayerReport:
    """One layer's reports of all steps as one; ``counts`` are the facts of each step."""

    def mean(of: Callable[[LayerReport], float]) -> float:
        return sum(of(r) * n for r, n in zip(reports, counts, strict=True)) / sum(counts)

    return replace(
        reports[-1],
        residual_before=mean(lambda r: r.residual_before),
        residual_after=mean(lambda r: r.residual_after),
        condition=max(r.condition for r in reports),
        ridge=max(r.ridge for r in reports),
    )
