"""Breadth-first fine-tuning of one matrix: every pass visits all facts, a small batch at a time.

Fine-tuning looked weak as long as it wrote one fact to the end before the next. Visited in shuffled batches over
epochs, with the end of the text behind each answer, it is today's strongest baseline (LocFT-BF, ICLR 2026,
arXiv:2509.22072). As there: Adam without weight decay, the NLL of target and end only. Beyond it, because the other
methods of this package have them too: all of a fact's prompts (contexts and phrasings), and unedited facts and ordinary
text whose distributions are held by a KL term (arXiv:2402.11078).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.baselines.finetune import NOT_FINITE
from kbsync.editing.baselines.whole_change import WholeChanges
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.editing.memit.distributions import Expected, expected, kl_to, target_nll
from kbsync.editing.memit.preserved import preserved_prompts
from kbsync.editing.memit.refinement import CHECK_ROWS, PROMPTS_PER_TEXT, some_of
from kbsync.editing.memit.refinement_texts import stretches, with_answers
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import longest_row
from kbsync.ports import Work


class BreadthFirstEditor(TorchEditor):
    """There are no target vectors and no covariance. Preserved prompts are held by what the base says after them."""

    def _write(self, job: EditJob) -> AlgorithmResult:
        if len(job.layers) != 1:
            raise EditError(
                f"Breadth-first fine-tuning trains one matrix, and the recipe names {len(job.layers)} layers.",
                next_step="Name one layer in the recipe.",
            )
        decoder, recipe = self._decoder, job.recipe
        training = Training(decoder, WholeChanges(decoder, job.layers, recipe), recipe, job.work)
        end = self._tokenizer.eos_token_id
        prompts = {r.id: [ended(p, r, end) for p in r.prompts] for r in job.rewrites}
        losses = training.losses(prompts)
        failed = {i: NOT_FINITE for i, loss in losses.items() if not torch.isfinite(torch.tensor(loss))}
        rewrites = survivors(job.rewrites, failed)
        kept = preserved_prompts(
            self._tokenizer, job.preserved, rewrites, longest_row(decoder), phrasings=recipe.phrasings == "all"
        )
        written = {r.id: prompts[r.id] for r in rewrites}
        final_losses = training.run(
            [prompt for r in rewrites for prompt in written[r.id]],
            expected(decoder, with_answers(decoder, self._tokenizer, kept, recipe.seed, job.work), job.work)
            if recipe.refine_preserved
            else [],
            expected(decoder, stretches(decoder, self._tokenizer, self._texts, recipe.seed), job.work)
            if recipe.refine_text
            else [],
            written,
        )
        delta, reports = training.changes.result()
        return AlgorithmResult(
            delta=delta, layers=reports, losses=final_losses, targets={}, failed=failed, reused=0, covariance=""
        )


@dataclass(frozen=True, slots=True)
class Training:
    """Epochs over all prompts."""

    decoder: Decoder
    changes: WholeChanges
    recipe: Recipe
    work: Work

    @torch.no_grad()
    def losses(self, prompts: dict[str, list[Prompt]]) -> dict[str, float]:
        """By rewrite, the mean NLL over its prompts' targets, in nats, with the changes as they are now."""
        rows = [(i, prompt) for i, some in prompts.items() for prompt in some]
        found: dict[str, list[float]] = {i: [] for i in prompts}
        with self.changes.in_place():
            for begin in range(0, len(rows), CHECK_ROWS):
                some = rows[begin : begin + CHECK_ROWS]
                means = target_nll(self.decoder, [prompt for _, prompt in some]).mean.tolist()
                for (i, _), loss in zip(some, means, strict=True):
                    found[i].append(loss)
        return {i: sum(losses) / len(losses) for i, losses in found.items()}

    def run(
        self,
        prompts: Sequence[Prompt],
        preserved: Sequence[Expected],
        texts: Sequence[Expected],
        measured: dict[str, list[Prompt]],
    ) -> dict[str, float]:
        """``steps`` epochs, or fewer where an epoch's mean loss falls under the threshold.

        Args:
            prompts: With their targets. Each epoch draws a new order, from the recipe's seed.
            preserved: What the base says of unedited facts; as many as ``batch`` are drawn for each step.
            texts: What it says on ordinary text; a quarter as many.
            measured: The prompts of each rewrite.

        Returns:
            The losses at the end, by rewrite, in nats.

        Raises:
            EditError: The training diverges.
        """
        recipe, draw, rows = self.recipe, random.Random(self.recipe.seed), sorted(prompts, key=lambda p: p.ids)
        adam = self.changes.adam(recipe.learning_rate)
        self.work.start("fine-tuning", recipe.steps)
        for _ in range(recipe.steps):
            draw.shuffle(rows)
            total = 0.0
            for begin in range(0, len(rows), recipe.batch):
                self.work.checkpoint()
                batch = rows[begin : begin + recipe.batch]
                beside = [
                    (recipe.refine_preserved, some_of(draw, preserved, recipe.batch)),
                    (recipe.refine_text, some_of(draw, texts, max(1, recipe.batch // PROMPTS_PER_TEXT))),
                ]
                total += self._step(adam, batch, beside) * len(batch)
            if not self.changes.are_finite or total != total:
                raise EditError("Fine-tuning diverged.", next_step="Lower the recipe's learning_rate.")
            self.work.advance()
            if total / len(rows) < recipe.loss_threshold:
                break
        self.work.finish()
        return self.losses(measured)

    def _step(
        self, adam: torch.optim.Adam, batch: Sequence[Prompt], beside: Sequence[tuple[float, Sequence[Expected]]]
    ) -> float:
        """One step of Adam. Returns the batch's mean NLL before it."""
        adam.zero_grad()
        with torch.enable_grad(), self.changes.in_place():
            nll = target_nll(self.decoder, batch).mean.mean()
            nll.backward()  # type: ignore[no-untyped-call]
            for weight, rows in beside:
                if rows:
                    (weight * kl_to(self.decoder, rows)).backward()  # type: ignore[no-untyped-call]
        adam.step()
        return float(nll.detach())


def ended(prompt: Prompt, rewrite: TokenisedRewrite, end: int | None) -> Prompt:
    """The prompt with the end of the text behind its target, unless its rewrite says how the answer ends."""
    if end is None or rewrite.rewrite.end or rewrite.rewrite.phrasings:
        return prompt
    return replace(prompt, ids=(*prompt.ids, end))
