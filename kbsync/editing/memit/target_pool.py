"""Facts whose prompts are made ready together: the loss of the target search and its gradient.

Source: MEMIT, section 4.2.1 and appendix B, equation 16; the KL and decay terms as in the public code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite
from kbsync.editing.common.target_positions import target_positions
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.delta_optimiser import DeltaOptimiser
from kbsync.editing.memit.insertion import Insertion

Group = tuple[TokenisedRewrite, ...]
"""Facts that are searched as one, with one δ, because they share a key (``groups``); mostly one fact."""
ROWS_PER_STEP = 2
"""Prompts of a fact in one step of the search, where a fact is written in many phrasings."""


@dataclass(frozen=True, slots=True)
class Target:
    """A fact's target vectors z = h₀ + δ."""

    z: Tensor
    """(P, sites, d), at least float32, on the CPU: what must be at the insertion's sites in each of the fact's prompts;
    P is 1, and only the bare prompt's is kept, where the recipe writes no further phrasings."""
    loss: float
    """The loss at the last step, in nats."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass of the n active groups, with its graph."""

    delta: Tensor
    """δ (n, sites, d), the graph's leaf."""
    at_targets: Tensor
    """Final-norm outputs (k, d) before each of the k target tokens."""
    at_kl: Tensor
    """Final-norm outputs (n, d) at the KL prompts' subjects."""
    decay: Tensor
    """The decay term (n,)."""
    sites: Tensor
    """What is at the sites (rows, sites, d), without a graph."""


class TargetPool:
    """Groups in the order of their suffix lengths: ``active`` ones are searched, those from ``_next`` on wait.

    What is decided from lies on the CPU; each step brings it there in one transfer.

    Where facts are written in many phrasings, a step runs ``ROWS_PER_STEP`` prompts for each fact of a group, of those
    that are not answered yet, in turn, and a prompt that is answered drops out. When none is left, and at the last
    step, all are run again; a search ends only after such a pass.
    """

    def __init__(self, groups: Sequence[Group], recipe: Recipe, insertion: Insertion, head: VocabularyHead) -> None:
        self._recipe, self._insertion, self._head = recipe, insertion, head
        self._groups = list(groups)
        self._asked = {rewrite.id: asked(rewrite, recipe) for group in groups for rewrite in group}
        prompts = [[written(r, recipe)[i] for r in group for i in self._asked[r.id]] for group in groups]
        counts = torch.tensor([len(p) for p in prompts])
        self._row_group = torch.repeat_interleave(torch.arange(len(groups)), counts)
        self._all_prompts, sites = insertion.prepare([(p.ids[:-1], p.lookup) for ps in prompts for p in ps])
        self._all_kl_prompts = insertion.prepare([(g[0].kl_prompt.key_ids, g[0].kl_prompt.lookup) for g in groups])[0]
        self._all_positions = target_positions(prompts, from_lookup=True)
        self._suffix_lengths = torch.tensor([len(p.ids) - p.lookup - 1 for ps in prompts for p in ps])
        dtype = torch.promote_types(insertion.decoder.dtype, torch.float32)
        self._device = sites.device
        self._optimiser = DeltaOptimiser(sites[counts.cumsum(0) - counts].to(dtype), recipe)
        self._token_threshold = math.inf if recipe.token_threshold is None else recipe.token_threshold
        self._answered = torch.zeros(len(self._row_group), dtype=torch.bool)
        self._next = 0
        self.kl_before: list[Tensor] = []
        """Log-probabilities (vocabulary,) after the active groups' KL prompts without a change."""
        self.active = torch.arange(0)
        """Indices of the groups that are searched, ascending."""
        self._activate(self.active)

    @property
    def done(self) -> bool:
        return len(self.active) == 0 and self._next == len(self._groups)

    def admit(self, most: int) -> int:
        """Make up to ``most`` of the waiting groups active; returns how many."""
        fresh = torch.arange(self._next, min(len(self._groups), self._next + most))
        if len(fresh):
            self.kl_before += self._head.log_probs(self._all_kl_prompts.normed[fresh, 0])
            self._next += len(fresh)
            self._activate(torch.cat([self.active, fresh]))
        return len(fresh)

    def forward(self) -> Pass:
        """Run prompts of the active groups with their δ."""
        self._choose_rows()
        with torch.enable_grad():
            delta = self._optimiser.delta[self._placed_active].requires_grad_()
            states, sites = self._insertion.run(self._prompts, delta[self._placed_owner])
            at_targets = states[self.placed.row.to(states.device), self.placed.column.to(states.device)]
            at_kl = self._insertion.run(self._kl_prompts, delta)[0][:, 0]
            relative_norm = delta.norm(dim=-1) / self._optimiser.init_norm[self._placed_active, ..., 0] ** 2
            decay = self._recipe.weight_decay * relative_norm.mean(dim=1)
        return Pass(delta, at_targets, at_kl, decay, sites.detach().to(delta.dtype))

    def settle(
        self, passed: Pass, nll: Tensor, kl: Tensor, by_targets: Tensor, by_kl: Tensor
    ) -> Iterator[tuple[TokenisedRewrite, Target | None]]:
        """Take one step, and give away the facts whose search has ended; None for a loss that is not finite.

        Args:
            passed: What ``forward`` returned.
            nll: −log p of each target token of each prompt (k,).
            kl: The weighted KL terms (n,).
            by_targets: Gradient of all losses by ``passed.at_targets``.
            by_kl: The same by ``passed.at_kl``.
        """
        positions, active = self.positions, self.active
        finite = torch.isfinite(passed.sites).flatten(1).all(dim=1)
        nll, kl, decay, finite = _on_host([nll, kl, passed.decay.detach(), finite])
        loss = _sum_by(positions.fact, nll * positions.weight, decay) + kl + decay
        max_token_nll = _largest_by(positions.fact, nll, loss)
        outer = [by_targets, by_kl, torch.ones_like(passed.decay)]
        (gradient,) = torch.autograd.grad([passed.at_targets, passed.at_kl, passed.decay], [passed.delta], outer)
        self._optimiser.steps[active] += 1
        broken = ~torch.isfinite(loss)
        broken[self._owner[finite == 0]] = True
        cheap = (loss < self._recipe.loss_threshold) & (max_token_nll < self._token_threshold)
        ended = broken | (self._whole & (cheap | (self._optimiser.steps[active] == self._recipe.steps)))
        self._note_answered(nll)
        self._optimiser.update(self._placed_active, self._optimiser.steps[active], gradient)
        results = [
            (rewrite, target)
            for i in ended.nonzero().flatten().tolist()
            for rewrite, target in self._targets(i, None if broken[i] else passed, float(loss[i]))
        ]
        if results:
            self.kl_before = [before for before, gone in zip(self.kl_before, ended.tolist(), strict=True) if not gone]
            self._activate(active[~ended])
        yield from results

    def _targets(
        self, index: int, passed: Pass | None, loss: float
    ) -> Iterator[tuple[TokenisedRewrite, Target | None]]:
        """The targets of the facts of the active group ``index``, from a pass over all that is asked."""
        row = int((self._owner < index).sum())
        for rewrite in self._groups[int(self.active[index])]:
            count = len(self._asked[rewrite.id])
            if passed is None:
                yield rewrite, None
            elif self._recipe.phrasings == "all":
                z = self._at_all_prompts(rewrite, passed.sites[row : row + count], passed.delta[index].detach())
                yield rewrite, Target(z.cpu().contiguous(), loss)
            else:
                yield rewrite, Target(passed.sites[row : row + 1].cpu().contiguous(), loss)
            row += count

    def _at_all_prompts(self, rewrite: TokenisedRewrite, sites: Tensor, delta: Tensor) -> Tensor:
        """z at all prompts of a fact (P, sites, d), of which the search has seen it at those that it asks.

        Args:
            sites: (asked, sites, d).
            delta: The δ that they were seen with (sites, d).
        """
        seen, prompts = self._asked[rewrite.id], written(rewrite, self._recipe)
        others = [i for i in range(len(prompts)) if i not in seen]
        if not others:
            return sites
        z = sites.new_empty(len(prompts), *sites.shape[1:])
        z[seen] = sites
        z[others] = self._insertion.at_sites([prompts[i].key_ids for i in others], delta).to(sites.dtype)
        return z

    def _note_answered(self, nll: Tensor) -> None:
        """Note which of the rows that ran are answered: mean and largest −log p of their target's tokens are low."""
        positions, rows = self.positions, self._rows
        mean = _sum_by(positions.row, nll * positions.per_token, torch.zeros(len(rows)))
        largest = _largest_by(positions.row, nll, mean)
        self._answered[rows] = (mean < self._recipe.loss_threshold) & (largest < self._token_threshold)

    def _activate(self, active: Tensor) -> None:
        """Go on with the groups of these indices (n,), ascending."""
        self.active, self._placed_active = active, active.to(self._device)
        all_active = len(active) == len(self._groups)  # where there are few groups nothing is copied
        self._kl_prompts = self._all_kl_prompts if all_active else self._all_kl_prompts.select(active)
        self._rows = torch.arange(0)
        if self._next == len(self._groups) and not all_active:
            self._drop_finished()

    def _choose_rows(self) -> None:
        """Choose the rows of the next pass; they are made ready anew only where they are others than before."""
        steps, last = self._optimiser.steps, self._recipe.steps - 1
        sampled = self._recipe.phrasings == "all"
        chosen, whole = [], []
        for group in self.active.tolist():
            rows = (self._row_group == group).nonzero().flatten()
            unanswered = rows[~self._answered[rows]]
            size = ROWS_PER_STEP * len(self._groups[group])
            some = sampled and len(unanswered) > 0 and len(rows) > size and int(steps[group]) < last
            if some:
                first = size * int(steps[group])
                turn = sorted({(first + n) % len(unanswered) for n in range(size)})
                rows = unanswered[turn]
            chosen.append(rows)
            whole.append(not some)
        rows = torch.cat(chosen) if chosen else torch.arange(0)
        self._whole = torch.tensor(whole, dtype=torch.bool)
        """(n,), whether all of a group's prompts run."""
        if torch.equal(rows, self._rows) and len(rows):
            return
        self._rows = rows
        self._owner = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor([len(r) for r in chosen]))
        all_rows = len(rows) == len(self._row_group)
        columns = int(self._suffix_lengths[rows].max()) if len(rows) else 1
        self._prompts = self._all_prompts if all_rows else self._all_prompts.select(rows, columns)
        self.positions = self._all_positions.keep(rows, self._owner)
        """Where the losses of the pass are read."""
        self.placed, self._placed_owner = self.positions.to(self._device), self._owner.to(self._device)
        """The same on the model's device."""

    def _drop_finished(self) -> None:
        """None waits any more: keep only what belongs to the active groups, which are renumbered."""
        active = self.active
        rows = torch.isin(self._row_group, active).nonzero().flatten()
        renumbered = torch.full((len(self._groups),), -1).index_copy(0, active, torch.arange(len(active)))
        self._row_group = renumbered[self._row_group[rows]]
        self._answered, self._suffix_lengths = self._answered[rows], self._suffix_lengths[rows]
        if len(rows):
            self._all_prompts = self._all_prompts.select(rows, int(self._suffix_lengths.max()))
            self._all_positions = self._all_positions.keep(rows, self._row_group)
        self._all_kl_prompts = self._kl_prompts
        self._optimiser.keep(active)
        self._groups = [self._groups[i] for i in active.tolist()]
        self._next, self.active = len(active), torch.arange(len(active))
        self._placed_active = self.active.to(self._device)


def written(rewrite: TokenisedRewrite, recipe: Recipe) -> tuple[Prompt, ...]:
    """The prompts that get a z: as published the bare one with its contexts, or all that have a key of their own."""
    return rewrite.keyed if recipe.phrasings == "all" else rewrite.prompts


def asked(rewrite: TokenisedRewrite, recipe: Recipe) -> list[int]:
    """Which of a fact's prompts the search asks: all, or ``search_prompts`` of them, the first one and others that are
    spread evenly over the rest, so that every form has its share."""
    count, most = len(written(rewrite, recipe)), recipe.search_prompts
    if most == 0 or count <= most:
        return list(range(count))
    return [0, *((count - 1) * n // (most - 1) for n in range(1, most))]


def _on_host(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Vectors on the CPU, after one transfer."""
    return torch.split(torch.cat([part.to(parts[0].device) for part in parts]).cpu(), [len(part) for part in parts])


def _sum_by(index: Tensor, values: Tensor, like: Tensor) -> Tensor:
    """Sums of ``values`` with the same index, in the shape and dtype of ``like``."""
    return torch.zeros_like(like).index_add_(0, index, values.to(like.dtype))


def _largest_by(index: Tensor, values: Tensor, like: Tensor) -> Tensor:
    """The largest of ``values`` with the same index, in the shape and dtype of ``like``."""
    return torch.zeros_like(like).scatter_reduce_(0, index, values.to(like.dtype), "amax")
