"""All prompts on their way through the edited layers, one layer at a time.

Layers are edited from the lowest up, and each must be inspected on a copy that holds the edits below it. So all prompts
are advanced together: their states stand before an edited layer, the keys are read there, and after the layer has been
edited the states pass it. An edit changes only what the down projection makes of its inputs; so in the second pass only
the down projection is computed again, and its old contribution to the residual stream is replaced by the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.keys import FactVectors, PromptRow, batched, prompt_rows
from kbsync.model.decoder import Decoder, DecoderLayer, first_tensor
from kbsync.model.hooks import Activations, perturb, record_activations
from kbsync.model.suffix import Call, record_calls

KEPT_BYTES = 256 * 2**20
"""Memory for passes that are not run again; a batch that does not fit is run again."""


@dataclass(frozen=True, slots=True)
class _LayerPass:
    """What one pass of an edited layer left behind, at all positions (rows, length, width)."""

    output: Tensor
    """Of the layer."""
    keys: Tensor
    """Inputs of its down projection."""
    mlp_output: Tensor
    """Outputs of its down projection, before any norm."""


@dataclass(slots=True)
class _Batch:
    """Rows that stand before the same edited layer."""

    rows: list[PromptRow]
    hidden: Tensor
    """(rows, length, d), what enters that layer."""
    lookup: Tensor
    """(rows,), column of each row's subject's last token."""
    calls: tuple[Call, ...]
    """Further arguments of the layers from the first edited one on."""
    inspected: _LayerPass | None = None
    """The pass that ``inspect`` made, where it need not be made again."""

    @property
    def tokens(self) -> int:
        return self.hidden.shape[0] * self.hidden.shape[1]

    def at_lookup(self, states: Tensor) -> Tensor:
        """States (rows, length, width) at the subjects' last tokens (rows, width)."""
        return states[torch.arange(len(self.rows)), self.lookup]


class LayerwiseForward:
    """All prompts of all facts before an edited layer.

    Results are (N, width) in the order of the facts, on the CPU, at least float32. ``inspect`` and ``residual_stream``
    may be called any number of times before ``step``; between ``inspect`` and ``step`` only the down projection of the
    layer that comes next may change.
    """

    @torch.no_grad()
    def __init__(
        self,
        decoder: Decoder,
        layers: Sequence[DecoderLayer],
        facts: Sequence[Sequence[Prompt]],
        *,
        bare_share: float | None = 0.5,
    ) -> None:
        """Run all prompts up to the first edited layer.

        Args:
            layers: The edited layers, ascending.
            facts: Each fact's prompts, the bare one first.
            bare_share: The bare prompt's weight in a fact's key; None: that of any other prompt.
        """
        self.position = 0
        """Index among the edited layers of the one that comes next; their number after the last ``step``."""
        self._decoder = decoder
        self._layers = tuple(layers)
        self._first, self._end = layers[0].index, layers[-1].index + 1
        self._facts = len(facts)
        self._starts = [self._start(rows) for rows in batched(prompt_rows(facts, bare_share))]
        self._batches = [replace(batch) for batch in self._starts]
        self._is_plain_sum: dict[int, bool] = {}
        self._stream: Tensor | None = None

    def restarted(self) -> LayerwiseForward:
        """The same prompts before the first edited layer, whatever it holds now. Lower layers are not run again."""
        fresh = copy(self)
        fresh.position = 0
        fresh._batches = [replace(batch) for batch in self._starts]
        fresh._stream = None
        return fresh

    @torch.no_grad()
    def inspect(self) -> tuple[Tensor, Tensor]:
        """Read the next edited layer at the subjects' last tokens.

        Returns:
            The facts' keys (N, m), averaged over their prompts, and the down projection's output (N, d), before any
            norm, for the bare prompts.
        """
        layer, keys, outputs = self._layers[self.position], FactVectors(self._facts), FactVectors(self._facts)
        room = KEPT_BYTES
        for batch in sorted(self._batches, key=lambda b: b.tokens):
            output, seen = self._run(batch, layer.index, layer.index + 1)
            one_pass = _LayerPass(output, seen.keys[layer.index], seen.downs[layer.index])
            keys.add_weighted(batch.rows, batch.at_lookup(one_pass.keys))
            outputs.put_bare(batch.rows, batch.at_lookup(one_pass.mlp_output))
            room -= sum(t.numel() * t.element_size() for t in (output, one_pass.keys, one_pass.mlp_output))
            batch.inspected = one_pass if room >= 0 and self._adds_plainly(layer, batch, one_pass) else None
        return keys.tensor, outputs.tensor

    @torch.no_grad()
    def step(self) -> Tensor:
        """Pass the next edited layer, as it is now, and all layers up to the edited one after it.

        Returns:
            The passed layer's down projection's output (N, d), before any norm, for the bare prompts.
        """
        layer, outputs = self._layers[self.position], FactVectors(self._facts)
        self.position += 1
        stop = self._layers[self.position].index if self.position < len(self._layers) else self._end
        self._stream = None
        for batch in self._batches:
            before = batch.inspected
            if before is None:
                batch.hidden, seen = self._run(batch, layer.index, stop)
                now = seen.downs[layer.index]
            else:
                now = first_tensor(layer.down.module(before.keys))
                batch.hidden = before.output + (_contribution(layer, now) - _contribution(layer, before.mlp_output))
                batch.inspected = None
                batch.hidden = self._run(batch, layer.index + 1, stop)[0]
            outputs.put_bare(batch.rows, batch.at_lookup(now))
        return outputs.tensor

    @torch.no_grad()
    def residual_stream(self) -> Tensor:
        """h (N, d): the residual stream after the *last* edited layer at the bare prompts' subjects' last tokens, with
        the weights that the layers hold now."""
        if self._stream is None:
            start = self._layers[self.position].index if self.position < len(self._layers) else self._end
            stream = FactVectors(self._facts)
            for batch in (b for b in self._batches if b.rows[0].prompt == 0):
                stream.put_bare(batch.rows, batch.at_lookup(self._run(batch, start, self._end)[0]))
            self._stream = stream.tensor
        return self._stream

    def _adds_plainly(self, layer: DecoderLayer, batch: _Batch, one_pass: _LayerPass) -> bool:
        """Whether the layer's output holds the down projection's (past its norm) as a plain summand. Tried once for
        each layer, because a block may also scale its MLP."""
        if layer.index not in self._is_plain_sum:
            nudge = torch.full_like(one_pass.mlp_output, float(one_pass.mlp_output.abs().mean()))
            with perturb(layer.down.module, nudge):
                moved = self._run(batch, layer.index, layer.index + 1)[0]
            expected = _contribution(layer, one_pass.mlp_output + nudge) - _contribution(layer, one_pass.mlp_output)
            rounding = 64 * torch.finfo(moved.dtype).eps * one_pass.output.abs().max()
            gap = (moved - one_pass.output - expected).abs().max()
            self._is_plain_sum[layer.index] = bool(gap <= rounding + 1e-3 * expected.abs().max())
        return self._is_plain_sum[layer.index]

    def _start(self, rows: list[PromptRow]) -> _Batch:
        """Rows padded on the right: they end at the lookup token, which sees no padding."""
        tokens = torch.zeros(len(rows), max(len(r.ids) for r in rows), dtype=torch.long)
        for i, row in enumerate(rows):
            tokens[i, : len(row.ids)] = torch.tensor(row.ids)
        inputs = {"input_ids": tokens.to(self._decoder.model.device), "use_cache": False}
        recording = record_calls(self._decoder, inputs, self._first, self._end - 1)
        return _Batch(rows, recording.entered, torch.tensor([len(r.ids) - 1 for r in rows]), recording.calls)

    def _run(self, batch: _Batch, start: int, stop: int) -> tuple[Tensor, Activations]:
        """States after layer ``stop`` - 1, and what layer ``start`` showed on the way."""
        hidden = batch.hidden
        watched = [start] if start < stop else []
        with record_activations(self._decoder, keys=watched, downs=watched) as seen:
            for index in range(start, stop):
                args, kwargs = batch.calls[index - self._first]
                hidden = first_tensor(self._decoder.layers[index].module(hidden, *args, **kwargs))
        return hidden, seen


def _contribution(layer: DecoderLayer, mlp_output: Tensor) -> Tensor:
    """What a down projection's output adds to the residual stream."""
    return mlp_output if layer.post_mlp_norm is None else first_tensor(layer.post_mlp_norm(mlp_output))
