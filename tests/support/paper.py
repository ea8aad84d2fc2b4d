"""The papers' equations as they are written, one fact, one prompt, one token at a time, in float64: the oracle of the
fast code.

MEMIT's own are ``tests.support.plain_memit``, which the speed benchmark runs, too; here are those of its rivals.
Nothing is taken from the fast code but the tokens; whole forward passes, autograd, plain inverses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kbsync.editing.common.prompts import Prompt, TokenisedRewrite
from tests.support.plain_memit import PlainMemit


class Paper(PlainMemit):
    """The equations of MEMIT and its rivals."""

    def z(self, rewrite: TokenisedRewrite, module: nn.Module | None = None) -> Tensor:
        """The target vector, without its loss."""
        return self.target(rewrite, module)[0]

    def spread(
        self, rewrites: Sequence[TokenisedRewrite], targets: Sequence[Tensor], second_moments: Sequence[Tensor]
    ) -> list[Tensor]:
        """Algorithm 1: Δ of each layer (out, in). Changes the model's weights."""
        before = [self.recipe.covariance_weight * c for c in second_moments]
        return self.step(rewrites, targets, before)

    def step(
        self,
        rewrites: Sequence[TokenisedRewrite],
        targets: Sequence[Tensor],
        before: Sequence[Tensor],
        P: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """Δ = R KᵀP (``before``·P + K KᵀP + L·I)⁻¹; without P, ``before`` is λC + Kₚ Kₚᵀ and L is nothing. Adds K Kᵀ to
        ``before``, for the steps that follow."""
        changes = []
        for i, (_, down) in enumerate(self.layers):
            last = self.layers[-1][0]
            now = [self.seen(last, r.bare.ids, r.bare.lookup) for r in rewrites]
            R = torch.stack([(z - h) / (len(self.layers) - i) for z, h in zip(targets, now, strict=True)], dim=1)
            K = torch.stack([self.key(down, r) for r in rewrites], dim=1)
            if P is None:
                change = R @ K.T @ torch.linalg.inv(before[i] + K @ K.T)
            else:
                eye = self.recipe.covariance_weight * torch.eye(len(K), dtype=K.dtype)
                change = R @ K.T @ P[i] @ torch.linalg.inv(before[i] @ P[i] + K @ K.T @ P[i] + eye)
            before[i] += K @ K.T
            down.weight.data += change if isinstance(down, nn.Linear) else change.T
            changes.append(change)
        return changes

    def spread_phrasings(self, rewrites: Sequence[TokenisedRewrite], second_moments: Sequence[Tensor]) -> list[Tensor]:
        """Algorithm 1 with a column for each distinct key: R W Kᵀ (λC + K W Kᵀ)⁻¹, W being how many of a fact's prompts
        have the key, as a share. Facts must not have a key in common. Changes the model's weights."""
        last, columns = self.layers[-1][0], []
        for rewrite in rewrites:
            z, keys = self.z(rewrite), [p.key_ids for p in rewrite.prompts]
            change = z - self.seen(last, rewrite.bare.ids, rewrite.bare.lookup)
            for key in dict.fromkeys(keys):
                h = self.seen(last, key, len(key) - 1)
                columns.append((key, h + change, keys.count(key) / len(keys)))
        W = torch.diag(torch.tensor([share for _, _, share in columns], dtype=second_moments[0].dtype))
        changes = []
        for i, (_, down) in enumerate(self.layers):
            left = len(self.layers) - i
            R = torch.stack([(z - self.seen(last, key, len(key) - 1)) / left for key, z, _ in columns], dim=1)
            K = torch.stack([self.seen(down, key, len(key) - 1, entering=True) for key, _, _ in columns], dim=1)
            change = R @ W @ K.T @ torch.linalg.inv(self.recipe.covariance_weight * second_moments[i] + K @ W @ K.T)
            down.weight.data += change if isinstance(down, nn.Linear) else change.T
            changes.append(change)
        return changes

    def sequence(self, steps: Sequence[Sequence[TokenisedRewrite]], second_moments: Sequence[Tensor]) -> list[Tensor]:
        """MEMIT step after step with all previous keys: Fang et al., equation 15."""
        before = [self.recipe.covariance_weight * c for c in second_moments]
        return self._steps(steps, before, None)

    def alpha(
        self, steps: Sequence[Sequence[TokenisedRewrite]], second_moments: Sequence[Tensor], share: float
    ) -> list[Tensor]:
        """AlphaEdit: Fang et al., equation 14, P by singular values from the smallest up."""
        projections = []
        for c in second_moments:
            U, values, _ = torch.linalg.svd(c)
            kept = [i for i in range(len(values)) if values[i:].sum() <= share * values.sum()]
            projections.append(U[:, kept] @ U[:, kept].T)
        return self._steps(steps, [torch.zeros_like(c) for c in second_moments], projections)

    def _steps(
        self, steps: Sequence[Sequence[TokenisedRewrite]], before: list[Tensor], P: Sequence[Tensor] | None
    ) -> list[Tensor]:
        made = [self.step(rewrites, [self.z(r) for r in rewrites], before, P) for rewrites in steps]
        return [torch.stack(changes).sum(dim=0) for changes in zip(*made, strict=True)]

    def rome(self, rewrites: Sequence[TokenisedRewrite], second_moment: Tensor) -> Tensor:
        """Fact after fact: Λ (C⁻¹k*)ᵀ with Λ = (v* − W k*) / (C⁻¹k*)ᵀk* (Meng et al. 2022, equations 2 and 3)."""
        ((_, down),) = self.layers
        total = []
        for rewrite in rewrites:
            value = self.z(rewrite, down)
            key = torch.stack([self.seen(down, p.ids, p.lookup, entering=True) for p in rewrite.prompts]).mean(dim=0)
            direction = torch.linalg.inv(second_moment) @ key
            with torch.no_grad():
                change = torch.outer((value - down(key[None])[0]) / (direction @ key), direction)
                down.weight.data += change if isinstance(down, nn.Linear) else change.T
            total.append(change)
        return torch.stack(total).sum(dim=0)

    def finetune(self, rewrites: Sequence[TokenisedRewrite]) -> list[Tensor]:
        """Adam with weight decay on the weights themselves, batch after batch, each entry clamped to its ball."""
        recipe, weights = self.recipe, [down.weight for _, down in self.layers]
        origins = [w.detach().clone() for w in weights]
        units = [float(w.norm() / w.numel() ** 0.5) if recipe.relative_step else 1.0 for w in origins]
        adam = torch.optim.Adam(
            [{"params": [w], "lr": recipe.learning_rate * u} for w, u in zip(weights, units, strict=True)],
            weight_decay=recipe.weight_decay,
        )
        for _ in range(recipe.steps):
            losses = []
            for begin in range(0, len(rewrites), recipe.batch):
                batch = [self._plain_nll(r.bare) for r in rewrites[begin : begin + recipe.batch]]
                adam.zero_grad()
                torch.stack(batch).mean().backward()  # type: ignore[no-untyped-call]
                adam.step()
                losses += [x.item() for x in batch]
                with torch.no_grad():
                    for w, o, u in zip(weights, origins, units, strict=True):
                        w.copy_(torch.minimum(torch.maximum(w, o - recipe.clamp * u), o + recipe.clamp * u))
            if sum(losses) / len(losses) < recipe.loss_threshold:
                break
        changes = [(w - o).detach() for w, o in zip(weights, origins, strict=True)]
        return [c if isinstance(d, nn.Linear) else c.T for c, (_, d) in zip(changes, self.layers, strict=True)]

    def _plain_nll(self, prompt: Prompt) -> Tensor:
        logs = self.logits(prompt.ids).log_softmax(-1)
        wanted = range(prompt.target, len(prompt.ids))
        return -torch.stack([logs[i - 1, prompt.ids[i]] for i in wanted]).mean()
