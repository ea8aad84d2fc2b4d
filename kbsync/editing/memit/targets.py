"""Target vectors: what a fact's place in the model must hold so that the prompt is answered with the target.

Source: MEMIT, section 4.2.1 and appendix B; the loss terms as in the public code. Facts are independent of each other,
so many are optimised in one batch, each with its own state, and leave it when they have converged.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.memit.head import Head
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.subject import Task

WINDOW = 56
"""Facts that are searched at once, so that they share the vocabulary projection. Where one has converged another begins."""
POOL_WINDOWS = 2
"""Windows of facts whose prompts are made ready together and wait for their turn."""
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


def search(
    tasks: Sequence[Task],
    recipe: Recipe,
    insertion: Insertion,
    head: Head,
    pulse: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Task, Target | None]]:
    """Each task with its target vector, as it is found; None for a fact whose loss is not finite, which stops no other.

    The model must be frozen (``hooks.frozen``). ``pulse`` is called before each step, of which one may take seconds; what it
    raises ends the search.
    """
    waiting = deque(_pools(tasks))
    living: list[_Pool] = []
    while waiting or living:
        pulse()
        room = WINDOW - sum(len(pool.hand) for pool in living)
        for pool in living:
            room -= pool.admit(room)
        while waiting and room >= max(1, WINDOW // 4):
            living.append(_Pool(waiting.popleft(), recipe, insertion, head))
            room -= living[-1].admit(room)
        yield from _step(living, head, recipe)
        living = [pool for pool in living if not pool.done]


def _pools(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Tasks with tails of like length together: padding costs as much as tokens."""
    ordered = sorted(tasks, key=lambda t: (t.tail, t.request.id))
    size = POOL_WINDOWS * WINDOW
    return (ordered[begin : begin + size] for begin in range(0, len(ordered), size))


def _step(pools: Sequence[_Pool], head: Head, recipe: Recipe) -> Iterator[tuple[Task, Target | None]]:
    """One step of all pools, which share their products with the vocabulary."""
    passes = [pool.forward() for pool in pools]
    looked = [*(p.chosen for p in passes), *(p.subject for p in passes)]
    losses, drifts, gradients = head.nll_and_drift(
        torch.cat([part.detach() for part in looked]),
        torch.cat([pool.positions.token for pool in pools]),
        torch.cat([pool.positions.weight for pool in pools]),
        [before for pool in pools for before in pool.before],
        recipe.kl_weight,
    )
    by_part = torch.split(gradients, [len(part) for part in looked])
    by_loss = torch.split(losses, [len(p.chosen) for p in passes])
    by_drift = torch.split(drifts, [len(p.subject) for p in passes])
    for n, (pool, made) in enumerate(zip(pools, passes, strict=True)):
        yield from pool.settle(made, by_loss[n], by_drift[n], by_part[n], by_part[len(pools) + n])


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass of the facts in hand, with its graph: the shift that it is of, (N, sites, d); states at the target tokens,
    and at the essences' subjects (N, d); the decay term (N,); what is at the bare prompts' sites (N, sites, d)."""

    shift: Tensor
    chosen: Tensor
    subject: Tensor
    decay: Tensor
    sites: Tensor


class _Pool:
    """Facts in the order of their tails. Those in ``hand`` (their indices, ascending) are searched; those from ``next`` on wait.

    ``positions`` and ``before`` (log-probabilities that the essence had) are those of the facts in hand. Each fact counts its
    own steps.
    """

    def __init__(self, tasks: Sequence[Task], recipe: Recipe, insertion: Insertion, head: Head) -> None:
        self.recipe, self.insertion, self.head, self.tasks = recipe, insertion, head, tasks
        self.per_fact = len(tasks[0].prompts)
        self.all_prompts, sites = insertion.prepare([(p.ids[:-1], p.lookup) for t in tasks for p in t.prompts])
        self.all_essences = insertion.prepare([(t.essence.head, t.essence.lookup) for t in tasks])[0]
        self.all_positions = _positions(tasks)
        dtype = torch.promote_types(insertion.decoder.dtype, torch.float32)
        origin = sites[:: self.per_fact].to(dtype)
        self.norm = origin.norm(dim=-1, keepdim=True)
        self.unit = (
            self.norm / math.sqrt(insertion.decoder.hidden_size) if recipe.relative_step else torch.ones_like(self.norm)
        )
        self.shift = torch.zeros_like(origin)
        self.mean, self.square = torch.zeros_like(self.shift), torch.zeros_like(self.shift)
        self.steps = torch.zeros(len(tasks), dtype=torch.long)
        self.most = math.inf if recipe.token_threshold is None else recipe.token_threshold
        self.next = 0
        self.before: list[Tensor] = []
        self._hold(torch.arange(0))

    @property
    def done(self) -> bool:
        return len(self.hand) == 0 and self.next == len(self.tasks)

    def admit(self, most: int) -> int:
        """Take up to ``most`` of the waiting facts in hand; how many it took."""
        fresh = torch.arange(self.next, min(len(self.tasks), self.next + most))
        if len(fresh):
            self.before += self.head.log_probs(self.all_essences.normed[fresh, 0])
            self.next += len(fresh)
            self._hold(torch.cat([self.hand, fresh]))
        return len(fresh)

    def forward(self) -> _Pass:
        with torch.enable_grad():
            shift = self.shift[self.hand].requires_grad_()
            states, sites = self.insertion.run(self.prompts, shift.repeat_interleave(self.per_fact, dim=0))
            chosen = states[self.positions.row, self.positions.column]
            subject = self.insertion.run(self.essences, shift)[0][:, 0]
            length = shift.norm(dim=-1) / self.norm[self.hand, ..., 0] ** 2
            decay = self.recipe.weight_decay * length.mean(dim=1)
        return _Pass(shift, chosen, subject, decay, sites[:: self.per_fact].detach().to(self.shift.dtype))

    def settle(
        self, made: _Pass, losses: Tensor, drifts: Tensor, by_chosen: Tensor, by_subject: Tensor
    ) -> Iterator[tuple[Task, Target | None]]:
        """Give away what has ended, and take a step with the rest. ``losses``: −log p of each target token of each prompt."""
        at, hand = self.positions, self.hand
        nll = torch.zeros_like(made.decay).index_add_(0, at.fact, (losses * at.weight).to(made.decay.dtype))
        loss = nll + drifts + made.decay.detach()
        dearest = torch.zeros_like(loss).scatter_reduce_(0, at.fact, losses.to(loss.dtype), "amax")
        wanted = [by_chosen, by_subject, torch.ones_like(made.decay)]
        (gradient,) = torch.autograd.grad([made.chosen, made.subject, made.decay], [made.shift], wanted)
        self.steps[hand] += 1
        broken = ~torch.isfinite(loss) | ~torch.isfinite(made.sites).flatten(1).all(dim=1)
        found = (loss < self.recipe.loss_threshold) & (dearest < self.most)
        ended = broken | found | (self.steps[hand] == self.recipe.steps)
        self._update(gradient)
        over = [(i, self.tasks[int(hand[i])]) for i in ended.nonzero().flatten().tolist()]
        if over:
            self.before = [before for before, gone in zip(self.before, ended.tolist(), strict=True) if not gone]
            self._hold(hand[~ended])
        for i, task in over:
            yield task, None if broken[i] else Target(made.sites[i].cpu(), float(loss[i]))

    def _update(self, gradient: Tensor) -> None:
        """One step in units of ``unit``, then the clamp ‖δ‖ ≤ clamp·‖h₀‖ at every site."""
        hand, unit = self.hand, self.unit[self.hand]
        slope = gradient * unit
        direction = self._adam(slope) if self.recipe.optimiser == "adam" else _along(slope)
        shift = self.shift[hand] - self.recipe.learning_rate * unit * direction
        limit = self.recipe.clamp * self.norm[hand]
        self.shift[hand] = shift * (limit / shift.norm(dim=-1, keepdim=True)).clamp(max=1.0)

    def _adam(self, slope: Tensor) -> Tensor:
        hand, step = self.hand, self.steps[self.hand].double()[:, None, None]
        self.mean[hand] = self.mean[hand].lerp(slope, 1 - BETA1)
        self.square[hand] = self.square[hand].lerp(slope**2, 1 - BETA2)
        mean, square = (1 - BETA1**step).to(slope), (1 - BETA2**step).to(slope)
        return (self.mean[hand] / mean) / ((self.square[hand] / square).sqrt() + EPSILON)

    def _hold(self, hand: Tensor) -> None:
        """Go on with the facts of these indices."""
        self.hand = hand
        rows = (hand[:, None] * self.per_fact + torch.arange(self.per_fact)).flatten()
        whole = len(hand) == len(self.tasks)  # where there are few facts nothing is copied
        columns = max((self.tasks[i].tail for i in hand.tolist()), default=1)
        self.prompts = self.all_prompts if whole else self.all_prompts.select(rows, columns)
        self.essences = self.all_essences if whole else self.all_essences.select(hand)
        self.positions = self.all_positions.keep(hand, self.per_fact)
        if self.next == len(self.tasks) and not whole:
            self._drop_the_rest()

    def _drop_the_rest(self) -> None:
        """None waits: only what belongs to the facts in hand is kept, which are numbered anew."""
        hand = self.hand
        self.all_prompts, self.all_essences, self.all_positions = self.prompts, self.essences, self.positions
        self.norm, self.unit, self.steps = self.norm[hand], self.unit[hand], self.steps[hand]
        self.shift, self.mean, self.square = self.shift[hand], self.mean[hand], self.square[hand]
        self.tasks = [self.tasks[i] for i in hand.tolist()]
        self.next, self.hand = len(hand), torch.arange(len(hand))


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
