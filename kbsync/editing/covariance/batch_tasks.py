"""The products Σ k kᵀ of batches of text, in this process or as tasks for an executor (ADR 0030)."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import EditError
from kbsync.editing.covariance.corpus import Batch
from kbsync.model.decoder import Decoder
from kbsync.model.hooks import activations, frozen
from kbsync.ports import Executor, Part, Work, Worker

COVARIANCE_TASKS = "covariance"
"""The kind of these tasks. They share the layers and how many first tokens of a row don't count; each is one batch."""
HELD_BYTES = 2**30
"""Memory for products of later batches that are finished before earlier ones."""
_PRODUCT = "product"


class CovarianceWorker(Worker):
    """Multiplies keys with the weights that are in place."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        """Yield the batch's product for each layer, in the layers' order."""
        del kind  # the only one
        layers, skipped = json.loads(shared)
        checkpoint()
        with frozen(self._decoder.model):
            for product in products(self._decoder, json.loads(task), layers, skipped):
                yield save({_PRODUCT: product})


def products_by(
    executor: Executor, batches: Sequence[Batch], layers: Sequence[int], skipped: int, work: Work
) -> Iterator[Tensor]:
    """What ``products`` gives for one batch after the other, whichever of them the workers finish first.

    All products may be held at once: ``at_once`` says for how many batches there is memory.
    """
    shared = canonical_json([list(layers), skipped]).encode()
    tasks = [canonical_json(rows).encode() for rows in batches]
    parts = executor.map(COVARIANCE_TASKS, shared, tasks, work)
    return (load(data)[_PRODUCT] for data in _in_order(parts, len(layers)))


def at_once(decoder: Decoder, layers: Sequence[int]) -> int:
    """How many batches may be given out together, so that their products take at most ``HELD_BYTES``; at least 1."""
    numbers = sum(layer.down.weight.shape[1] ** 2 for layer in decoder.edited_layers(layers))
    return max(1, HELD_BYTES // (numbers * max(decoder.dtype.itemsize, torch.float32.itemsize)))


def products(decoder: Decoder, rows: Batch, layers: Sequence[int], skipped: int) -> Iterator[Tensor]:
    """Σ k kᵀ (m, m) of a batch's keys for each of ``layers``, at least float32 (of at most a few thousand keys).

    Args:
        skipped: The first tokens of each row, which don't count.

    Raises:
        EditError: A key is not finite.
    """
    tokens, valid = _padded(rows, skipped)
    with torch.no_grad():
        seen = activations(decoder, {"input_ids": tokens.to(decoder.model.device), "use_cache": False}, keys=layers)
    counted = valid.flatten().nonzero()[:, 0].to(seen.keys[layers[0]].device)
    for layer in layers:
        yield _outer(seen.keys[layer], counted, layer)


def _outer(keys: Tensor, counted: Tensor, layer: int) -> Tensor:
    chosen = keys.flatten(0, 1)[counted.to(keys.device)]
    chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32))
    product = (chosen.T @ chosen).cpu()
    if not torch.isfinite(product).all():
        raise EditError(
            f"A key of layer {layer} is not finite, so no covariance exists.",
            next_step="Load the model in float32.",
        )
    return product


def _padded(rows: Batch, skipped: int) -> tuple[Tensor, Tensor]:
    """Rows padded on the right (nothing before the padding sees it), and which positions count."""
    width = max(map(len, rows))
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    valid = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        valid[i, skipped : len(row)] = True
    return tokens, valid


def _in_order(parts: Iterable[Part], each: int) -> Iterator[bytes]:
    """The ``each`` parts of the first task, then those of the second, and so on; what comes too early waits."""
    waiting: defaultdict[int, deque[bytes]] = defaultdict(deque)
    due, given = 0, 0
    for part in parts:
        waiting[part.task].append(part.data)
        while waiting[due]:
            yield waiting[due].popleft()
            given += 1
            if given == each:
                del waiting[due]
                due, given = due + 1, 0
