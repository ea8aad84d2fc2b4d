"""Keys: what the edited layers see at the subject's last token, averaged over the prompts of a fact.

Layers are edited from the lowest up, and each must be seen on the copy that holds the edits below it. So all prompts
climb together: their states stand before an edited layer, are looked at, and pass it once it has been edited. The edit
changes only what the down projection makes of its inputs, so of the second pass only that is computed, and what it adds
to the stream is exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from kbsync.editing.subject import Prompt
from kbsync.model.decoder import Decoder, DecoderLayer, first_tensor
from kbsync.model.hooks import Trace, nudged, watching
from kbsync.model.suffix import Call, record

BATCH_TOKENS = 4096
KEPT_BYTES = 256 * 2**20
"""Of passes that are not run again; what does not fit is."""


class Row(NamedTuple):
    """One prompt up to its lookup token: the fact's index, the prompt's (0: bare), its weight in the key."""

    fact: int
    prompt: int
    weight: float
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """What one pass of an edited layer left behind, at all positions: its output, and input and output of its down
    projection (rows, length, width)."""

    left: Tensor
    keys: Tensor
    downs: Tensor


@dataclass(slots=True)
class _Batch:
    """``hidden`` (rows, length, d) stands before an edited layer; ``last`` are the lookup positions."""

    rows: list[Row]
    hidden: Tensor
    last: Tensor
    calls: tuple[Call, ...]
    look: _Look | None = None

    @property
    def tokens(self) -> int:
        return self.hidden.shape[0] * self.hidden.shape[1]


class Climb:
    """All prompts of all facts (each fact's bare prompt first) on their way through the edited layers.

    Results are (N, width) in the order of the facts, on the CPU, at least float32. Call ``look`` and ``stream`` any
    number of times before ``advance``, and ``advance`` once per step, in order; between ``look`` and ``advance`` only
    the down projection of that step's layer may change.
    """

    @torch.no_grad()
    def __init__(
        self,
        decoder: Decoder,
        layers: Sequence[DecoderLayer],
        facts: Sequence[Sequence[Prompt]],
        *,
        bare: float | None = 0.5,
    ) -> None:
        """``bare``: the bare prompt's share in a fact's key (MEMIT's mean over template types: ½); None: that of any."""
        self._decoder = decoder
        self._layers = tuple(layers)
        self._first, self._end = layers[0].index, layers[-1].index + 1
        self._count = len(facts)
        self._starts = [self._start(rows) for rows in _grouped(_rows(facts, bare))]
        self._batches = [replace(batch) for batch in self._starts]
        self._plain: dict[int, bool] = {}
        self._streamed: dict[int, Tensor] = {}

    def again(self) -> Climb:
        """The same prompts before the first edited layer, whatever it holds now: what lies below is not run again."""
        fresh = copy(self)
        fresh._batches = [replace(batch) for batch in self._starts]
        fresh._streamed = {}
        return fresh

    @torch.no_grad()
    def look(self, step: int) -> tuple[Tensor, Tensor]:
        """At the ``step``-th edited layer: the facts' keys, and the down projection's output for the bare prompts.

        A key weighs the bare prompt by its share and all contexts together by the rest.
        """
        layer, keys, downs = self._layers[step], Gather(self._count), Gather(self._count)
        room = KEPT_BYTES
        for batch in sorted(self._batches, key=lambda b: b.tokens):
            left, seen = self._through(batch, layer.index, layer.index + 1)
            look = _Look(left, seen.keys[layer.index], seen.downs[layer.index])
            at = torch.arange(len(batch.rows)), batch.last
            keys.add(batch.rows, look.keys[at])
            downs.put(batch.rows, look.downs[at])
            room -= sum(t.numel() * t.element_size() for t in (look.left, look.keys, look.downs))
            batch.look = look if room >= 0 and self._adds(layer, batch, look) else None
        return keys.total, downs.total

    @torch.no_grad()
    def advance(self, step: int) -> Tensor:
        """Pass the ``step``-th edited layer and those up to the next; returns its outputs as ``look`` does."""
        layer, downs = self._layers[step], Gather(self._count)
        stop = self._layers[step + 1].index if step + 1 < len(self._layers) else self._end
        self._streamed = {}
        for batch in self._batches:
            if batch.look is None:
                batch.hidden, seen = self._through(batch, layer.index, stop)
                made = seen.downs[layer.index]
            else:
                made = first_tensor(layer.down.module(batch.look.keys))
                batch.hidden = batch.look.left + (_entering(layer, made) - _entering(layer, batch.look.downs))
                batch.look = None
                batch.hidden = self._through(batch, layer.index + 1, stop)[0]
            downs.put(batch.rows, made[torch.arange(len(batch.rows)), batch.last])
        return downs.total

    @torch.no_grad()
    def stream(self, step: int) -> Tensor:
        """The residual stream after the last edited layer at the bare prompts' lookup tokens, from where all stand."""
        if step in self._streamed:
            return self._streamed[step]
        start = self._layers[step].index if step < len(self._layers) else self._end
        found = Gather(self._count)
        for batch in (b for b in self._batches if b.rows[0].prompt == 0):
            hidden = self._through(batch, start, self._end)[0]
            found.put(batch.rows, hidden[torch.arange(len(batch.rows)), batch.last])
        self._streamed[step] = found.total
        return found.total

    def _adds(self, layer: DecoderLayer, batch: _Batch, look: _Look) -> bool:
        """Whether the layer's output holds the down projection's (past its norm) as a plain summand: tried once a layer,
        for a block may also scale it."""
        if layer.index not in self._plain:
            nudge = torch.full_like(look.downs, float(look.downs.abs().mean()))
            with nudged(layer.down.module, nudge):
                moved = self._through(batch, layer.index, layer.index + 1)[0]
            wanted = _entering(layer, look.downs + nudge) - _entering(layer, look.downs)
            rounding = 64 * torch.finfo(moved.dtype).eps * look.left.abs().max()
            gap = (moved - look.left - wanted).abs().max()
            self._plain[layer.index] = bool(gap <= rounding + 1e-3 * wanted.abs().max())
        return self._plain[layer.index]

    def _start(self, rows: list[Row]) -> _Batch:
        """Rows padded on the right: what they hold is at or before the lookup token, which sees no padding."""
        tokens = torch.zeros(len(rows), max(len(r.ids) for r in rows), dtype=torch.long)
        for i, row in enumerate(rows):
            tokens[i, : len(row.ids)] = torch.tensor(row.ids)
        inputs = {"input_ids": tokens.to(self._decoder.model.device), "use_cache": False}
        seen = record(self._decoder, inputs, self._first, self._end - 1)
        return _Batch(rows, seen.entered, torch.tensor([len(r.ids) - 1 for r in rows]), seen.calls)

    def _through(self, batch: _Batch, start: int, stop: int) -> tuple[Tensor, Trace]:
        """States after layer ``stop`` - 1, and what layer ``start`` showed on the way."""
        hidden = batch.hidden
        shown = [start] if start < stop else []
        with watching(self._decoder, keys=shown, downs=shown) as seen:
            for index in range(start, stop):
                args, kwargs = batch.calls[index - self._first]
                hidden = first_tensor(self._decoder.layers[index].module(hidden, *args, **kwargs))
        return hidden, seen


def _entering(layer: DecoderLayer, downs: Tensor) -> Tensor:
    """What a down projection's output adds to the residual stream."""
    return downs if layer.post_mlp_norm is None else first_tensor(layer.post_mlp_norm(downs))


class Gather:
    """Sums vectors of rows into one (N, width) tensor by fact."""

    def __init__(self, count: int) -> None:
        self.total = torch.empty(0)
        self._count = count

    def add(self, rows: Sequence[Row], vectors: Tensor) -> None:
        """Every row, with its weight."""
        wide = self._wide(vectors)
        for row, vector in zip(rows, wide, strict=True):
            self.total[row.fact] += row.weight * vector

    def put(self, rows: Sequence[Row], vectors: Tensor) -> None:
        """The bare prompts' rows only."""
        wide = self._wide(vectors)
        for row, vector in zip(rows, wide, strict=True):
            if row.prompt == 0:
                self.total[row.fact] = vector

    def _wide(self, vectors: Tensor) -> Tensor:
        wide = vectors.to("cpu", torch.promote_types(vectors.dtype, torch.float32))
        if not self.total.numel():
            self.total = torch.zeros(self._count, wide.shape[1], dtype=wide.dtype)
        return wide


def _rows(facts: Sequence[Sequence[Prompt]], bare: float | None) -> list[Row]:
    return [
        Row(n, p, _weight(p, len(prompts), bare), prompt.head)
        for n, prompts in enumerate(facts)
        for p, prompt in enumerate(prompts)
    ]


def _weight(prompt: int, count: int, bare: float | None) -> float:
    if bare is None or count == 1:
        return 1.0 / count
    return bare if prompt == 0 else (1.0 - bare) / (count - 1)


def _grouped(rows: list[Row]) -> Iterator[list[Row]]:
    """Batches of like length, bare prompts apart, so that little is padded and ``stream`` runs them alone."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda r: (r.prompt > 0, len(r.ids), r.ids, r.fact, r.prompt)):
        apart = batch and (batch[0].prompt > 0) != (row.prompt > 0)
        if apart or (batch and (len(batch) + 1) * len(row.ids) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
