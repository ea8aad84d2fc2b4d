"""The baseline that is timed: the plain transcription with the batches of the published code.

``tests.support.plain_memit`` runs one prompt at a time, which is easy to read and slower than what was published. Here,
as there, a fact's prompts and its drift prompt are one padded batch in each step, and keys and states come from batches
of 128 prompts. All else stays as published: the whole model, logits at all positions, a graph from the last edited
layer up, one fact after the other. Rows are padded on the right without a mask, which is faster than with one and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kbsync.editing.common.prompts import Prompt, TokenisedRewrite
from tests.support.plain_memit import PlainMemit

ROWS = 128


class Published(PlainMemit):
    """As ``PlainMemit``, in batches. Weights must want no gradients."""

    def target(self, rewrite: TokenisedRewrite, module: nn.Module | None = None) -> tuple[Tensor, float]:
        """As ``PlainMemit.target``; the state without a change and the distribution before it are those of the first
        step."""
        block, recipe = module or self.layers[-1][0], self.recipe
        prompts = [*rewrite.prompts, rewrite.kl_prompt]
        tokens, rows = _padded(prompts), torch.arange(len(prompts))
        lookups = torch.tensor([p.lookup for p in prompts])
        wanted = [(r, i - 1, p.ids[i]) for r, p in enumerate(rewrite.prompts) for i in range(p.target, len(p.ids))]
        row, column, token = torch.tensor(wanted).T
        scaled = torch.zeros(0)
        init, unit, before = scaled, torch.tensor(1.0), scaled
        optimiser: torch.optim.Optimizer | None = None

        def add(plain: Tensor) -> Tensor:
            nonlocal init, unit, scaled, optimiser
            if optimiser is None:
                init = plain[0, lookups[0]].detach().clone()
                unit = init.norm() / len(init) ** 0.5 if recipe.relative_step else unit
                scaled = torch.zeros_like(init, requires_grad=True)
                optimiser = self.optimiser(scaled)
            return plain.index_put((rows, lookups), plain[rows, lookups] + unit * scaled)

        for step in range(recipe.steps):
            with _changed(block, add):
                logs = self.model(input_ids=tokens, use_cache=False).logits.log_softmax(-1)
            now = logs[-1, rewrite.kl_prompt.lookup]
            before = now.detach().clone() if step == 0 else before
            costs = torch.split(-logs[row, column, token], [len(p.ids) - p.target for p in rewrite.prompts])
            delta = unit * scaled
            loss = torch.stack([c.mean() for c in costs]).mean()
            loss = loss + recipe.kl_weight * (now.exp() * (now - before)).sum()
            loss = loss + recipe.weight_decay * delta.norm() / init.norm() ** 2
            if (loss < recipe.loss_threshold and not self._costly(costs)) or step == recipe.steps - 1:
                break
            assert optimiser is not None
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                length = (unit * scaled).norm()
                if length > recipe.clamp * init.norm():
                    scaled *= recipe.clamp * init.norm() / length
        return (init + unit * scaled).detach(), float(loss.detach())

    @torch.no_grad()
    def spread(
        self, rewrites: Sequence[TokenisedRewrite], targets: Sequence[Tensor], second_moments: Sequence[Tensor]
    ) -> list[Tensor]:
        """As ``PlainMemit.spread``."""
        changes, last = [], self.layers[-1][0]
        bare, every = [r.bare for r in rewrites], [p for r in rewrites for p in r.prompts]
        for i, (_, down) in enumerate(self.layers):
            now = self._at_lookups(last, bare, entering=False)
            R = torch.stack(
                [(z - h).double() / (len(self.layers) - i) for z, h in zip(targets, now, strict=True)], dim=1
            )
            keys = torch.split(self._at_lookups(down, every, entering=True), [len(r.prompts) for r in rewrites])
            K = torch.stack([_mean_key(k).double() for k in keys], dim=1)
            change = R @ K.T @ torch.linalg.inv(self.recipe.covariance_weight * second_moments[i] + K @ K.T)
            weight: Tensor = down.weight
            weight.data += (change.T if isinstance(down, Conv1D) else change).to(weight.dtype)
            changes.append(change)
        return changes

    def _at_lookups(self, module: nn.Module, prompts: Sequence[Prompt], *, entering: bool) -> Tensor:
        """Output (or input) of ``module`` at the prompts' lookup tokens, (n, width)."""
        found = []
        for begin in range(0, len(prompts), ROWS):
            some = prompts[begin : begin + ROWS]
            at = torch.arange(len(some)), torch.tensor([p.lookup for p in some])

            def note(_module: nn.Module, args: tuple[Any, ...], out: Any, at: Any = at) -> None:
                found.append((args[0] if entering else out[0] if isinstance(out, tuple) else out)[at].clone())

            handle = module.register_forward_hook(note)
            self.model(input_ids=_padded(some), use_cache=False)
            handle.remove()
        return torch.cat(found)


def _mean_key(keys: Tensor) -> Tensor:
    """Mean over template types: the bare prompt, and the mean of the contexts."""
    return keys[0] if len(keys) == 1 else 0.5 * keys[0] + 0.5 * keys[1:].mean(dim=0)


def _padded(prompts: Sequence[Prompt]) -> Tensor:
    tokens = torch.zeros(len(prompts), max(len(p.ids) for p in prompts), dtype=torch.long)
    for i, prompt in enumerate(prompts):
        tokens[i, : len(prompt.ids)] = torch.tensor(prompt.ids)
    return tokens


@contextmanager
def _changed(block: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    def hook(_module: nn.Module, _args: tuple[Any, ...], out: Any) -> Any:
        return (change(out[0]), *out[1:]) if isinstance(out, tuple) else change(out)

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
