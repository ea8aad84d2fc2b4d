"""What the base says where the refinement must leave it as it is, kept: it depends on the base and the texts alone.

On a model of 1.5 billion parameters it is a quarter of an hour's work, which an edit that was killed, the probes of a
bisection and the trials of a search for recipes would each do again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.distributions import ROWS, TOP, Expected
from kbsync.ports import ArtifactStore

KIND = "expected"
FORMAT = 1
"""Of what is stored; part of each key."""


class KeptExpected:
    """Distributions of one base, by a hash of all that they depend on."""

    def __init__(self, artifacts: ArtifactStore, base: str, dtype: str, device: torch.device) -> None:
        """
        Args:
            base: The model's fingerprint.
            dtype: Of its weights.
            device: Where what was kept is placed.
        """
        self._artifacts, self._model, self._device = artifacts, [base, dtype], device

    def of(self, inputs: Sequence[object], make: Callable[[], list[Expected]]) -> list[Expected]:
        """What was kept for these inputs, or what ``make`` returns, which is kept.

        The texts of one call are kept as one: a model's answers to a text may change in their last bits with the others
        in its batch.
        """
        key = content_hash([KIND, FORMAT, TOP, ROWS, *self._model, *inputs])
        blob = self._artifacts.get(KIND, key)
        kept = None if blob is None else self._read(blob)
        if kept is not None:
            return kept
        made = make()
        if made:
            self._artifacts.put(KIND, key, _packed(made))
        return made

    def answered(self, inputs: Sequence[object], make: Callable[[], list[Prompt]]) -> list[Prompt]:
        """The same for prompts with the base's own answers as targets.

        They are found before the distributions, so an edit that is stopped between the two does not ask the base again.
        """

        def bare() -> list[Expected]:
            return [Expected(prompt, *self._nothing(len(prompt.ids) - prompt.target)) for prompt in make()]

        return [row.prompt for row in self.of(["answers", *inputs], bare)]

    def _nothing(self, tokens: int) -> tuple[Tensor, Tensor]:
        """Of each distribution no token: log-probabilities and token ids, both (tokens, 0)."""
        return torch.zeros(tokens, 0, device=self._device), torch.zeros(
            tokens, 0, dtype=torch.long, device=self._device
        )

    def _read(self, blob: bytes) -> list[Expected] | None:
        """None for what can't be read: it is made again."""
        try:
            found = load(blob)
            if found["logprobs"].shape != found["tokens"].shape:
                return None
            lengths, looked_at = found["lengths"].tolist(), found["looked_at"].tolist()
            rows = zip(
                torch.split(found["ids"], lengths),
                found["lookups"].tolist(),
                torch.split(found["logprobs"].to(self._device), looked_at),
                torch.split(found["tokens"].to(self._device), looked_at),
                strict=True,
            )
            return [
                Expected(Prompt(tuple(ids.tolist()), lookup, len(ids) - len(tokens)), logprobs, tokens)
                for ids, lookup, logprobs, tokens in rows
            ]
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
            return None


def _packed(rows: Sequence[Expected]) -> bytes:
    prompts = [row.prompt for row in rows]
    return save(
        {
            "ids": torch.tensor([token for prompt in prompts for token in prompt.ids]),
            "lengths": torch.tensor([len(prompt.ids) for prompt in prompts]),
            "lookups": torch.tensor([prompt.lookup for prompt in prompts]),
            "looked_at": torch.tensor([len(row.tokens) for row in rows]),
            "logprobs": torch.cat([row.logprobs for row in rows]).cpu(),
            "tokens": torch.cat([row.tokens for row in rows]).cpu(),
        }
    )
