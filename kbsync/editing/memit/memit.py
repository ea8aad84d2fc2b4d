"""MEMIT: many facts written into a few MLP down projections at once (Meng et al., ICLR 2023, algorithm 1)."""

from __future__ import annotations

from functools import partial

import torch

from kbsync.editing.common.edited_weights import edited_weights
from kbsync.editing.covariance.kept_factors import factor_of
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.editing.memit.columns import mean_columns, prefix_columns, reweighted, weights_of
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.kept_passes import KeptPasses
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.preserved import PreservedKeys, preserved_prompts
from kbsync.editing.memit.refinement import Refinement
from kbsync.editing.memit.refinement_texts import left_as_it_is, practised_prompts, preserved_frames
from kbsync.editing.memit.reweighting import unlearned
from kbsync.editing.memit.solve import Penalty
from kbsync.editing.memit.spread import spread, with_ratio
from kbsync.editing.memit.target_cache import TargetCache
from kbsync.editing.memit.targets import WINDOW
from kbsync.model.suffix import longest_row
from kbsync.system.memory import release_memory

LAYERS = "layers"
"""The step of an edit that computes keys and writes the targets, layer by layer, as it is shown."""


class MemitEditor(TorchEditor):
    """One mass edit: Δ = R Kᵀ (λC + K Kᵀ + w K₀ K₀ᵀ)⁻¹ (equation 14; K₀ are the preserved keys, ADR 0005)."""

    search_window: int = WINDOW
    """Facts whose target vectors are searched at once: more take more memory, fewer more time."""

    def _write(self, job: EditJob) -> AlgorithmResult:
        recipe, decoder = job.recipe, self._decoder

        # C = E[k kᵀ] of each edited layer (section 4.2, "ordinary text").
        covariances = self._covariances(job)
        release_memory()  # what loading and measuring left

        # Lines 1 to 4: the target vector z of each fact.
        insertion = insertion_for(decoder, job.layers)
        found = TargetCache(insertion, job, self.search_window).find(job.rewrites)
        rewrites = survivors(job.rewrites, found.failed)
        release_memory()  # what the search took

        # Lines 5 to 15: keys, residuals and the closed form, layer by layer. Facts that greedy decoding does not give
        # afterwards are weighted up, and the layers are solved again from the base (ADR 0016).
        def penalty_of(position: int) -> Penalty:
            factor = factor_of(covariances, job.layers[position].index, job.artifacts)
            return Penalty(factor, recipe.covariance_weight)

        all_phrasings = recipe.phrasings == "all"
        written = (prefix_columns if all_phrasings else mean_columns)(rewrites, found.targets)
        forward = LayerwiseForward(decoder, job.layers, [c.prompts for c in written])
        k0_prompts = preserved_prompts(
            self._tokenizer, job.preserved, rewrites, longest_row(decoder), phrasings=all_phrasings
        )
        preserved = PreservedKeys(decoder, job.layers, k0_prompts, recipe)
        checked = [(n, prompt) for n, column in enumerate(written) for prompt in column.checked]
        owner, first_weights = torch.tensor([n for n, _ in checked]), weights_of(written)
        column_weights = first_weights.clone()
        for round in range(recipe.press_rounds + 1):
            job.work.start(LAYERS, len(job.layers))
            with edited_weights(decoder.model) as weights:
                edits = spread(
                    written,
                    insertion,
                    forward.restarted(),
                    penalty_of,
                    preserved.restarted(),
                    weights,
                    job.work,
                    column_weights,
                )
                delta = weights.delta()
                missed = unlearned(decoder, [p for _, p in checked]) if round < recipe.press_rounds else None
            job.work.finish("" if missed is None else f"{int(missed.sum())} not answered yet")
            if missed is None or not missed.any():
                break
            column_weights[sorted(set(owner[missed].tolist()))] *= recipe.press_factor

        if recipe.refine_epochs:
            # Beyond the paper: what the layers' targets did not get across is trained, all layers together (ADR 0020).
            most = longest_row(decoder)
            frames = preserved_frames(self._tokenizer, job.preserved, most)
            kept, ordinary = left_as_it_is(decoder, job, (k0_prompts, frames), self._texts)
            release_memory()  # what was solved
            delta = Refinement(decoder, job.layers, covariances.matrices, recipe, job.work).run(
                delta,
                [prompt for rewrite in rewrites for prompt in rewrite.prompts],
                kept,
                ordinary,
                practised_prompts(self._tokenizer, rewrites, most),
                partial(KeptPasses, job.artifacts, job.base, recipe),
            )

        return AlgorithmResult(
            delta=delta,
            layers=tuple(
                with_ratio(report, delta, layer) for report, layer in zip(edits.reports, job.layers, strict=True)
            ),
            reweighted=reweighted(written, column_weights / first_weights),
            losses={i: target.loss for i, target in found.targets.items()},
            targets=found.hashes,
            failed=found.failed,
            reused=found.reused,
            covariance=covariances.fingerprint,
        )
