"""Target vectors: what a fact's place in the model must hold so that the prompt is answered with the target.

Source: MEMIT, section 4.2.1 and appendix B; the loss terms as in the public code. Facts are independent of each other,
so many are optimised in one batch, each with its own state, and leave it when they have converged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.head import Head
from kbsync.editing.insertion import Insertion
from kbsync.editing.subject import Task

FACTS_PER_BATCH = 64
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (the published optimiser's defaults)."""


@dataclass(frozen=True, slots=True)
class Target:
    """``goal`` (sites, d), float32 or wider, on the CPU: what must be at the insertion's sites. ``loss``: at the end."""

    goal: Tensor
    loss: float


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the loss looks: one entry per target token of each prompt.

    ``row`` and ``column`` index the suffixes, ``token`` is the wanted id, ``fact`` the owner, and ``weight`` makes the
    owner's sum the mean over its prompts of the mean over their target tokens.
    """

    row: Tensor
    column: Tensor
    token: Tensor
    fact: Tensor
    weight: Tensor

    def keep(self, alive: Tensor, rows_per_fact: int) -> Positions:
        """Only the facts in ``alive`` (sorted indices), renumbered, with their rows."""
        renumbered = torch.full((int(self.fact.max()) + 1,), -1).index_copy(0, alive, torch.arange(len(alive)))
        fact = renumbered[self.fact]
        kept = fact >= 0
        row = fact * rows_per_fact + self.row % rows_per_fact
        return Positions(row[kept], self.column[kept], self.token[kept], fact[kept], self.weight[kept])


def batches(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Tasks with tails of like length together: padding costs as much as tokens."""
    ordered = sorted(tasks, key=lambda t: (t.tail, t.request.id))
    for begin in range(0, len(ordered), FACTS_PER_BATCH):
        yield ordered[begin : begin + FACTS_PER_BATCH]


def optimise(
    tasks: Sequence[Task],
    recipe: Recipe,
    insertion: Insertion,
    head: Head,
    pulse: Callable[[], None] = lambda: None,
) -> list[Target | None]:
    """Target vectors of one batch, in its order; None for a fact whose loss is not finite, which stops no other.

    The model must be frozen (``hooks.frozen``). ``pulse`` is called before each step, of which one may take seconds; what it
    raises ends the search.
    """
    return _Search(tasks, recipe, insertion, head).run(pulse)


class _Search:
    """The state of one batch: what is still searched (``alive``) shrinks as facts converge."""

    def __init__(self, tasks: Sequence[Task], recipe: Recipe, insertion: Insertion, head: Head) -> None:
        self.recipe, self.insertion, self.decoder = recipe, insertion, insertion.decoder
        self.tasks = tasks
        self.per_fact = len(tasks[0].prompts)
        rows = [(p.ids[:-1], p.lookup) for t in tasks for p in t.prompts]
        self.prompts, sites = insertion.prepare(rows)
        essences = [(t.essence.head, t.essence.lookup) for t in tasks]
        self.essences = insertion.prepare(essences)[0]
        self.positions = _positions(tasks)
        dtype = torch.promote_types(self.decoder.dtype, torch.float32)
        self.head = head
        self.before = head.log_probs(self.essences.normed[:, 0])
        origin = sites[:: self.per_fact].to(dtype)
        self.norm = origin.norm(dim=-1, keepdim=True)
        self.unit = (
            self.norm / math.sqrt(self.decoder.hidden_size) if recipe.relative_step else torch.ones_like(self.norm)
        )
        self.shift = torch.zeros_like(origin)
        self.mean, self.square = torch.zeros_like(self.shift), torch.zeros_like(self.shift)
        self.alive = torch.arange(len(tasks))
        self.most = math.inf if recipe.token_threshold is None else recipe.token_threshold

    def run(self, pulse: Callable[[], None]) -> list[Target | None]:
        done: dict[int, Target | None] = {}
        for step in range(self.recipe.steps):
            pulse()
            loss, dearest, gradient, sites = self._loss()
            broken = ~torch.isfinite(loss) | ~torch.isfinite(sites).flatten(1).all(dim=1)
            last = step == self.recipe.steps - 1
            found = (loss < self.recipe.loss_threshold) & (dearest < self.most)
            finished = broken | found | last
            for i in finished.nonzero().flatten().tolist():
                done[int(self.alive[i])] = None if broken[i] else Target(sites[i].cpu(), float(loss[i]))
            if finished.all():
                break
            self._update(gradient, step + 1)
            if finished.any():
                self._keep((~finished).nonzero().flatten())
        return [done[i] for i in range(len(self.tasks))]

    def _loss(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Loss of each living fact, the −log p of its dearest target token in any prompt, the loss's gradient by the
        shift, and what is at the bare prompt's sites (N, sites, d)."""
        with torch.enable_grad():
            shift = self.shift.detach().requires_grad_()
            states, sites = self.insertion.run(self.prompts, shift.repeat_interleave(self.per_fact, dim=0))
            chosen = states[self.positions.row, self.positions.column]
            subject = self.insertion.run(self.essences, shift)[0][:, 0]
            looked = torch.cat([chosen, subject])
            decay = self.recipe.weight_decay * (shift.norm(dim=-1) / self.norm[..., 0] ** 2).mean(dim=1)
        at = self.positions
        losses, drift, by_looked = self.head.nll_and_drift(
            looked.detach(), at.token, at.weight, self.before, self.recipe.kl_weight
        )
        nll = torch.zeros_like(decay).index_add_(0, at.fact, (losses * at.weight).to(decay.dtype))
        dearest = torch.zeros_like(decay).scatter_reduce_(0, at.fact, losses.to(decay.dtype), "amax")
        (gradient,) = torch.autograd.grad([looked, decay], [shift], [by_looked, torch.ones_like(decay)])
        goals = sites[:: self.per_fact].detach().to(self.shift.dtype)
        return nll + drift + decay.detach(), dearest, gradient, goals

    def _update(self, gradient: Tensor, step: int) -> None:
        """One step in units of ``unit``, then the clamp ‖δ‖ ≤ clamp·‖h₀‖ at every site."""
        slope = gradient * self.unit
        direction = self._adam(slope, step) if self.recipe.optimiser == "adam" else _along(slope)
        self.shift = self.shift - self.recipe.learning_rate * self.unit * direction
        limit = self.recipe.clamp * self.norm
        self.shift = self.shift * (limit / self.shift.norm(dim=-1, keepdim=True)).clamp(max=1.0)

    def _adam(self, slope: Tensor, step: int) -> Tensor:
        self.mean.lerp_(slope, 1 - BETA1)
        self.square.lerp_(slope**2, 1 - BETA2)
        return (self.mean / (1 - BETA1**step)) / ((self.square / (1 - BETA2**step)).sqrt() + EPSILON)

    def _keep(self, index: Tensor) -> None:
        """Go on with these of the living facts only."""
        rows = (index[:, None] * self.per_fact + torch.arange(self.per_fact)).flatten()
        self.prompts = self.prompts.select(rows)
        self.essences = self.essences.select(index)
        self.positions = self.positions.keep(index, self.per_fact)
        self.before, self.norm, self.unit = self.before[index], self.norm[index], self.unit[index]
        self.shift = self.shift[index]
        self.mean, self.square = self.mean[index], self.square[index]
        self.alive = self.alive[index]


def _along(slope: Tensor) -> Tensor:
    """Each fact's slope (N, sites, d), all sites together, at the length of Adam's first step: ±1 in every entry."""
    lengths = slope.flatten(1).norm(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
    factors: Tensor = math.sqrt(slope[0].numel()) / lengths
    return slope * factors[:, None, None]


def _positions(tasks: Sequence[Task]) -> Positions:
    entries = [
        (n * len(t.prompts) + p, i - 1 - prompt.lookup, prompt.ids[i], n, 1 / (len(prompt.ids) - prompt.target))
        for n, t in enumerate(tasks)
        for p, prompt in enumerate(t.prompts)
        for i in range(prompt.target, len(prompt.ids))
    ]
    row, column, token, fact = (torch.tensor([e[k] for e in entries]) for k in range(4))
    per_prompt = torch.tensor([e[4] for e in entries], dtype=torch.float64) / len(tasks[0].prompts)
    return Positions(row, column, token, fact, per_prompt)
