"""The training of a MEND network (Mitchell et al., ICLR 2022, section 3.2).

A step takes the gradients of some facts on the base, makes the change, and looks at what the changed model says:

    c_e · NLL(target | the fact's prompt and a paraphrase)  +  c_loc · KL(base ‖ changed) on unrelated prompts.

Only the network is trained. The base never changes, so the facts' gradients, and what enters the lowest edited layer,
are computed once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt
from kbsync.editing.common.target_positions import TargetPositions, target_positions
from kbsync.editing.memit.distributions import Expected, expected, kl_of, nll_of
from kbsync.editing.mend.gradients import LinearMap, TokenGradients, adding, token_gradients
from kbsync.editing.mend.network import MendNetwork, moments
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import Suffixes, prepare_suffixes
from kbsync.ports import Work

EDIT_WEIGHT, LOCALITY_WEIGHT = 0.1, 1.0
"""c_e and c_loc, as published."""
ALPHA_RATE = 1e-4
"""Adam's rate for α, as published."""
LONGEST_GRADIENT = 100.0
"""A gradient is cut to this norm, as published."""
AT_ONCE = (1, 3, 10)
"""Facts that are written in one step, in turn, so that the network learns to write one and to write several. The
paper trains a network for each number."""
TRAINING = "training"
"""As it is shown."""


@dataclass(frozen=True, slots=True)
class Example:
    """What one fact teaches."""

    edit: Prompt
    """With the target; its gradient is what the network sees."""
    wanted: tuple[Prompt, ...]
    """With the target: what the changed model is to say."""
    unrelated: tuple[Prompt, ...]
    """All tokens behind the first are looked at."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Means of a step, in nats."""

    edit: float
    locality: float


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts from the lowest edited layer on."""

    suffixes: Suffixes
    positions: TargetPositions

    def logprobs(self, decoder: Decoder) -> Tensor:
        """(k, vocabulary) before each looked-at token, with the changes that are in place."""
        states = self.suffixes.run(self.suffixes.hidden)
        placed = self.positions.to(states.device)
        logits = decoder.logits(states[placed.row, placed.column])
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Facts that are written together."""

    gradients: tuple[dict[str, TokenGradients], ...]
    wanted: _Texts
    unrelated: _Texts
    before: tuple[Expected, ...]
    """What the base says of the unrelated texts."""


class MendTraining:
    """Trains a network step by step. Given the same examples and recipe, step n is the same however often the training
    was interrupted."""

    def __init__(
        self, decoder: Decoder, maps: Sequence[LinearMap], recipe: Recipe, examples: Sequence[Example], work: Work
    ) -> None:
        """Compute what does not change. The model must be frozen and hold the base's weights.

        Args:
            recipe: ``learning_rate`` is Adam's for the network, ``rank`` its hidden rank, ``batch`` the most facts that
                are written together, ``steps`` the length of the whole training.
            examples: At least one; their order does not matter.
        """
        self._decoder, self._maps, self._recipe, self._work = decoder, tuple(maps), recipe, work
        self.network = MendNetwork.for_maps(maps, recipe.rank, recipe.seed)
        self._batches = self._prepared(sorted(examples, key=lambda e: (e.edit.ids, e.edit.target)))
        own = self.network.alphas
        others = [p for p in self.network.parameters() if all(p is not alpha for alpha in own)]
        self._adam = torch.optim.Adam(
            [{"params": others, "lr": recipe.learning_rate}, {"params": own, "lr": ALPHA_RATE}]
        )
        self.step = 0
        """How many steps are done."""

    def run(self, kept: Callable[[MendTraining], None], every: int) -> list[Losses]:
        """Train to the recipe's last step; ``kept`` is called after each ``every`` steps, and at the end.

        Returns:
            The losses of the steps that were done now.
        """
        losses = []
        self._work.start(TRAINING, self._recipe.steps)
        self._work.advance(self.step)
        while self.step < self._recipe.steps:
            losses.append(self.train(self._batch_of(self.step)))
            self.step += 1
            if self.step % every == 0 or self.step == self._recipe.steps:
                kept(self)
            self._work.advance()
        self._work.finish()
        return losses

    def train(self, number: int) -> Losses:
        """One step of Adam on one batch."""
        batch = self._batches[number]
        self._adam.zero_grad()
        with torch.enable_grad():
            changes = {one.name: self._change(one.name, batch) for one in self._maps}
            with adding(changes, self._maps):
                edit = nll_of(batch.wanted.logprobs(self._decoder), batch.wanted.positions).mean.mean()
                locality = kl_of(batch.unrelated.logprobs(self._decoder), batch.before)
            (EDIT_WEIGHT * edit + LOCALITY_WEIGHT * locality).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self._adam.step()
        return Losses(float(edit.detach()), float(locality.detach()))

    def _change(self, name: str, batch: _Batch) -> tuple[Tensor, Tensor]:
        lefts, rights = zip(*(self.network.change(name, g[name]) for g in batch.gradients), strict=True)
        return torch.cat(lefts, dim=1), torch.cat(rights)

    def state(self) -> bytes:
        """Network, optimiser and step, as safetensors."""
        parameters = [p for group in self._adam.param_groups for p in group["params"]]
        tensors = {f"network.{name}": tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        for n, parameter in enumerate(parameters):
            for name, tensor in self._adam.state[parameter].items():
                tensors[f"adam.{n}.{name}"] = tensor.contiguous()
        return save(tensors | {"step": torch.tensor(self.step)})

    def restore(self, data: bytes) -> None:
        """Go on from what ``state`` gave."""
        tensors = load(data)
        self.step = int(tensors.pop("step"))
        self.network.load_state_dict(
            {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
        )
        for n, parameter in enumerate(p for group in self._adam.param_groups for p in group["params"]):
            prefix = f"adam.{n}."
            own = {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
            # Adam counts its steps on the CPU.
            self._adam.state[parameter] = {k: t if k == "step" else t.to(parameter.device) for k, t in own.items()}

    def _batch_of(self, step: int) -> int:
        """The batch of a step: all batches in a new order in each pass."""
        turn, place = divmod(step, len(self._batches))
        order = list(range(len(self._batches)))
        random.Random(f"{self._recipe.seed} {turn}").shuffle(order)
        return order[place]

    def _prepared(self, examples: list[Example]) -> list[_Batch]:
        random.Random(self._recipe.seed).shuffle(examples)
        self._work.start("gradients", len(examples))
        gradients: list[dict[str, TokenGradients]] = []
        batches: list[tuple[int, int]] = []
        begin = 0
        while begin < len(examples):
            size = min(AT_ONCE[len(batches) % len(AT_ONCE)], self._recipe.batch)
            some = examples[begin : begin + size]
            gradients += token_gradients(self._decoder, self._maps, [e.edit for e in some])[0]
            batches.append((begin, begin + len(some)))
            begin += size
            self._work.advance(len(some))
        self._work.finish()
        self.network.normalise_by({one.name: moments([g[one.name] for g in gradients]) for one in self._maps})
        prepared = []
        self._work.start("texts", len(examples))
        for first, last in batches:
            prepared.append(self._batch(examples[first:last], gradients[first:last]))
            self._work.advance(last - first)
        self._work.finish()
        return prepared

    def _batch(self, examples: Sequence[Example], gradients: Sequence[dict[str, TokenGradients]]) -> _Batch:
        unrelated = [p for e in examples for p in e.unrelated]
        return _Batch(
            tuple(gradients),
            self._texts([p for e in examples for p in e.wanted]),
            self._texts(unrelated),
            tuple(expected(self._decoder, unrelated)),
        )

    def _texts(self, prompts: Sequence[Prompt]) -> _Texts:
        rows = [(p.ids[:-1], 0) for p in prompts]
        first = min(one.layer for one in self._maps)
        return _Texts(
            prepare_suffixes(self._decoder, rows, first), target_positions([(p,) for p in prompts], from_lookup=False)
        )
