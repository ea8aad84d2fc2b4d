"""MEMIT: many facts written into a few MLP down projections at once (Meng et al., ICLR 2023, algorithm 1)."""

from __future__ import annotations

import torch

from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.editor import Job, TorchEditor, Written, prompts_of, survivors
from kbsync.editing.memit.insertion import insertion
from kbsync.editing.memit.keys import Climb
from kbsync.editing.memit.preserved import Still, guard_prompts
from kbsync.editing.memit.reweighting import unanswered
from kbsync.editing.memit.spread import Normal, growing, spread
from kbsync.editing.memit.target_cache import TargetShelf
from kbsync.editing.solve import factorise
from kbsync.model.suffix import longest
from kbsync.system.memory import give_back

LAYERS = "layers"
"""The step of an edit that computes keys and inserts the targets, layer by layer."""


class MemitEditor(TorchEditor):
    """One mass edit: Δ = R Kᵀ (λC + K Kᵀ + w S Sᵀ)⁻¹ (equation 14; S are the guards' keys, ADR 0005)."""

    def _write(self, job: Job) -> Written:
        recipe, decoder = job.recipe, self._decoder
        known = covariances(decoder, self._tokenizer, self._texts, recipe, self._base, self._artifacts, job.work)
        place = insertion(decoder, job.layers)
        give_back()  # what loading and measuring left
        found = TargetShelf(self._artifacts, self._base, place, job).find(job.tasks)
        tasks = survivors(job.tasks, found.lost)
        give_back()  # what the search took

        def normal_of(step: int) -> Normal:
            return Normal(factorise(known.matrices[job.layers[step].index]), recipe.covariance_weight)

        guards = guard_prompts(self._tokenizer, job.guards, tasks, longest(decoder))
        still = Still(decoder, job.layers, guards, recipe)
        climb = Climb(decoder, job.layers, prompts_of(tasks))
        emphasis = torch.ones(len(tasks), dtype=torch.float64)
        for round in range(recipe.press_rounds + 1):
            job.work.start(LAYERS, len(job.layers))
            with growing(job, decoder.model) as weights:
                made = spread(
                    tasks, found.targets, place, climb.again(), normal_of, still.again(), weights, job, emphasis
                )
                delta = weights.delta()
                weak = unanswered(decoder, tasks) if round < recipe.press_rounds else None
            job.work.finish("" if weak is None else f"{int(weak.sum())} not answered yet")
            if weak is None or not weak.any():
                break
            emphasis[weak] *= recipe.press_factor
        return Written(
            delta=delta,
            layers=tuple(made.reports),
            pressed={t.request.id: float(e) for t, e in zip(tasks, emphasis, strict=True) if e != 1},
            losses={i: target.loss for i, target in found.targets.items()},
            targets=found.hashes,
            lost=found.lost,
            reused=found.reused,
            covariance=known.fingerprint,
        )
