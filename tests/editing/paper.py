"""MEMIT as the paper writes it, one fact, one prompt, one token at a time, in float64: the oracle of the fast code.

Nothing here is taken from ``kbsync.editing`` but the tokens; whole forward passes, autograd, plain inverses.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kbsync.domain.recipe import Recipe
from kbsync.editing.subject import Prompt, Task


class Paper:
    """``layers``: (block, down projection) of each edited layer in order; ``weight(down)`` is (out, in)."""

    def __init__(self, model: nn.Module, layers: Sequence[tuple[nn.Module, nn.Module]], recipe: Recipe) -> None:
        self.model, self.layers, self.recipe = model, layers, recipe

    def logits(self, ids: Sequence[int]) -> Tensor:
        return self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]

    def seen(self, module: nn.Module, ids: Sequence[int], place: int, *, entering: bool = False) -> Tensor:
        """Input (or output) of ``module`` at one token."""
        got = []

        def note(_m, args, out):
            got.append((args[0] if entering else out[0] if isinstance(out, tuple) else out)[0, place].clone())

        handle = module.register_forward_hook(note)
        with torch.no_grad():
            self.logits(ids)
        handle.remove()
        return got[0]

    def target(self, task: Task) -> Tensor:
        """z = h₀ + δ at the last edited layer: equation 16 and the public code's loss."""
        block, recipe, bare = self.layers[-1][0], self.recipe, task.prompts[0]
        origin = self.seen(block, bare.ids, bare.lookup)
        delta = torch.zeros_like(origin, requires_grad=True)
        unit = origin.norm() / len(origin) ** 0.5 if recipe.relative_step else 1.0
        scaled = torch.zeros_like(origin, requires_grad=True)
        adam = torch.optim.Adam([scaled], lr=recipe.learning_rate)
        with torch.no_grad():
            before = self.logits(task.essence.ids)[task.essence.lookup].log_softmax(-1)
        for step in range(recipe.steps):
            delta = unit * scaled
            nll = torch.stack([self.nll(block, p, delta) for p in task.prompts]).mean()
            with self.shifted(block, task.essence.lookup, delta):
                now = self.logits(task.essence.ids)[task.essence.lookup].log_softmax(-1)
            kl = (now.exp() * (now - before)).sum()
            loss = nll + recipe.kl_weight * kl + recipe.weight_decay * delta.norm() / origin.norm() ** 2
            if loss < recipe.loss_threshold or step == recipe.steps - 1:
                break
            adam.zero_grad()
            loss.backward()
            adam.step()
            with torch.no_grad():
                length = (unit * scaled).norm()
                if length > recipe.clamp * origin.norm():
                    scaled *= recipe.clamp * origin.norm() / length
        return (origin + unit * scaled).detach()

    def nll(self, block: nn.Module, prompt: Prompt, delta: Tensor) -> Tensor:
        with self.shifted(block, prompt.lookup, delta):
            logs = self.logits(prompt.ids).log_softmax(-1)
        wanted = range(prompt.target, len(prompt.ids))
        return -torch.stack([logs[i - 1, prompt.ids[i]] for i in wanted]).mean()

    @contextmanager
    def shifted(self, block: nn.Module, place: int, delta: Tensor):
        def add(_m, _args, out):
            plain = out[0] if isinstance(out, tuple) else out
            moved = torch.cat([plain[:, :place], (plain[:, place] + delta)[:, None], plain[:, place + 1 :]], dim=1)
            return (moved, *out[1:]) if isinstance(out, tuple) else moved

        handle = block.register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()

    def key(self, down: nn.Module, task: Task) -> Tensor:
        """Mean over template types: the bare prompt, and the mean of the contexts."""
        keys = [self.seen(down, p.ids, p.lookup, entering=True) for p in task.prompts]
        return 0.5 * keys[0] + 0.5 * torch.stack(keys[1:]).mean(dim=0)

    def spread(self, tasks: Sequence[Task], goals: Sequence[Tensor], second_moments: Sequence[Tensor]) -> list[Tensor]:
        """Algorithm 1: Δ of each layer (out, in). Changes the model's weights."""
        changes = []
        for i, (_, down) in enumerate(self.layers):
            last = self.layers[-1][0]
            now = [self.seen(last, t.prompts[0].ids, t.prompts[0].lookup) for t in tasks]
            R = torch.stack([(z - h) / (len(self.layers) - i) for z, h in zip(goals, now, strict=True)], dim=1)
            K = torch.stack([self.key(down, t) for t in tasks], dim=1)
            change = R @ K.T @ torch.linalg.inv(self.recipe.covariance_weight * second_moments[i] + K @ K.T)
            down.weight.data += change if isinstance(down, nn.Linear) else change.T
            changes.append(change)
        return changes
