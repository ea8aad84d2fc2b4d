"""MEMIT as the paper writes it, one fact, one prompt, one token at a time: what the fast code is measured against.

Nothing here is taken from the other modules but the tokens: whole forward passes, autograd through the whole model, a
plain inverse (Meng et al., ICLR 2023, equations 14 and 16, algorithm 1; the loss as in the public code).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite


class PlainMemit:
    """MEMIT's equations on one model, in the model's own dtype."""

    def __init__(self, model: nn.Module, layers: Sequence[tuple[nn.Module, Any]], recipe: Recipe) -> None:
        """``layers``: block and down projection of each edited layer, ascending."""
        self.model, self.layers, self.recipe = model, tuple(layers), recipe

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Logits (length, vocabulary) of one text."""
        logits: Tensor = self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]
        return logits

    @torch.no_grad()
    def seen(self, module: nn.Module, ids: Sequence[int], place: int, *, entering: bool = False) -> Tensor:
        """Output (or input) of ``module`` at one token."""
        outputs: list[Tensor] = []

        def note(_module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            tensor = args[0] if entering else out[0] if isinstance(out, tuple) else out
            outputs.append(tensor[0, place].clone())

        handle = module.register_forward_hook(note)
        self.logits(ids)
        handle.remove()
        return outputs[0]

    def target(self, rewrite: TokenisedRewrite, module: nn.Module | None = None) -> tuple[Tensor, float]:
        """z = h₀ + δ at the last edited layer, and the loss there (equation 16).

        ROME's v* (Meng et al. 2022, equation 4) is the same with ``module`` the down projection.
        """
        block, recipe, bare = module or self.layers[-1][0], self.recipe, rewrite.bare
        init = self.seen(block, bare.ids, bare.lookup)
        unit = init.norm() / len(init) ** 0.5 if recipe.relative_step else torch.tensor(1.0)
        scaled = torch.zeros_like(init, requires_grad=True)
        optimiser = self.optimiser(scaled)
        with torch.no_grad():
            before = self.logits(rewrite.kl_prompt.ids)[rewrite.kl_prompt.lookup].log_softmax(-1)
        answered = [False] * len(rewrite.prompts)
        for step in range(recipe.steps):
            delta = unit * scaled
            chosen = self._chosen(answered, step)
            costs = [self._costs(block, rewrite.prompts[n], delta) for n in chosen]
            loss = torch.stack([c.mean() for c in costs]).mean()
            with self._shifted(block, rewrite.kl_prompt.lookup, delta):
                now = self.logits(rewrite.kl_prompt.ids)[rewrite.kl_prompt.lookup].log_softmax(-1)
            loss = loss + recipe.kl_weight * (now.exp() * (now - before)).sum()
            loss = loss + recipe.weight_decay * delta.norm() / init.norm() ** 2
            if len(chosen) == len(answered) and (
                (loss < recipe.loss_threshold and not self._costly(costs)) or step == recipe.steps - 1
            ):
                break
            for n, cost in zip(chosen, costs, strict=True):
                answered[n] = bool(cost.mean() < recipe.loss_threshold) and not self._costly([cost])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                length = (unit * scaled).norm()
                if length > recipe.clamp * init.norm():
                    scaled *= recipe.clamp * init.norm() / length
        return (init + unit * scaled).detach(), float(loss.detach())

    def optimiser(self, scaled: Tensor) -> torch.optim.Optimizer:
        """Adam as published; else plain steps, each as long as Adam's first (nothing of the paper's)."""
        if self.recipe.optimiser == "adam":
            return torch.optim.Adam([scaled], lr=self.recipe.learning_rate)
        scaled.register_hook(lambda g: g * g.numel() ** 0.5 / g.norm())  # type: ignore[no-untyped-call]
        return torch.optim.SGD([scaled], lr=self.recipe.learning_rate)

    def key(self, down: nn.Module, rewrite: TokenisedRewrite) -> Tensor:
        """Mean over template types: the bare prompt, and the mean of the contexts."""
        keys = [self.seen(down, p.ids, p.lookup, entering=True) for p in rewrite.prompts]
        return keys[0] if len(keys) == 1 else 0.5 * keys[0] + 0.5 * torch.stack(keys[1:]).mean(dim=0)

    @torch.no_grad()
    def spread(
        self, rewrites: Sequence[TokenisedRewrite], targets: Sequence[Tensor], second_moments: Sequence[Tensor]
    ) -> list[Tensor]:
        """Algorithm 1: Δ of each layer, (out, in) float64, solved with C of each layer. Changes the model's weights."""
        changes = []
        last = self.layers[-1][0]
        for i, (_, down) in enumerate(self.layers):
            now = [self.seen(last, r.bare.ids, r.bare.lookup) for r in rewrites]
            share = len(self.layers) - i
            R = torch.stack([(z - h).double() / share for z, h in zip(targets, now, strict=True)], dim=1)
            K = torch.stack([self.key(down, r).double() for r in rewrites], dim=1)
            change = R @ K.T @ torch.linalg.inv(self.recipe.covariance_weight * second_moments[i] + K @ K.T)
            weight: Tensor = down.weight
            weight.data += (change.T if isinstance(down, Conv1D) else change).to(weight.dtype)
            changes.append(change)
        return changes

    def _chosen(self, answered: Sequence[bool], step: int) -> list[int]:
        """Which prompts a step of the search runs: all, or (with many phrasings) two of those that are not answered,
        in turn; all again when none is left, and at the last step (nothing of the paper's)."""
        waiting = [n for n, yes in enumerate(answered) if not yes]
        last = step == self.recipe.steps - 1
        if self.recipe.phrasings == "first" or not waiting or last or len(answered) <= 2:
            return list(range(len(answered)))
        return sorted({waiting[(2 * step + k) % len(waiting)] for k in (0, 1)})

    def _costly(self, costs: Sequence[Tensor]) -> bool:
        """Whether a target token still costs more than the recipe allows (nothing of the paper's)."""
        most = self.recipe.token_threshold
        return most is not None and max(float(c.detach().max()) for c in costs) >= most

    def _costs(self, block: nn.Module, prompt: Prompt, delta: Tensor) -> Tensor:
        """−log p of each target token, with δ in place."""
        with self._shifted(block, prompt.lookup, delta):
            logs = self.logits(prompt.ids).log_softmax(-1)
        wanted = range(prompt.target, len(prompt.ids))
        return -torch.stack([logs[i - 1, prompt.ids[i]] for i in wanted])

    @contextmanager
    def _shifted(self, block: nn.Module, place: int, delta: Tensor) -> Iterator[None]:
        def add(_module: nn.Module, _args: tuple[Any, ...], out: Any) -> Any:
            plain = out[0] if isinstance(out, tuple) else out
            moved = torch.cat([plain[:, :place], (plain[:, place] + delta)[:, None], plain[:, place + 1 :]], dim=1)
            return (moved, *out[1:]) if isinstance(out, tuple) else moved

        handle = block.register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()
