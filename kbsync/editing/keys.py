"""Keys: what the edited layers see at the subject's last token, averaged over the prompts of a fact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.editing.subject import Task
from kbsync.model.decoder import Decoder
from kbsync.model.hooks import trace

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Looks:
    """What one pass up to the last asked layer shows at the lookup positions, by layer.

    ``keys`` (N, m): weighted over the prompts, the bare one ½ and the contexts ½ together (MEMIT's mean over template
    types). ``outputs`` and ``downs`` (N, d): of the bare prompt alone, after the layer and after the down projection.
    """

    keys: dict[int, Tensor]
    outputs: dict[int, Tensor]
    downs: dict[int, Tensor]


@torch.no_grad()
def look(
    decoder: Decoder,
    tasks: Sequence[Task],
    *,
    keys: Sequence[int] = (),
    outputs: Sequence[int] = (),
    downs: Sequence[int] = (),
) -> Looks:
    """Run every prompt up to its lookup token. All results are on the CPU, at least float32, in the order of tasks."""
    rows = [(n, p, prompt.head) for n, t in enumerate(tasks) for p, prompt in enumerate(t.prompts)]
    weights = {(n, p): _weight(p, len(t.prompts)) for n, t in enumerate(tasks) for p in range(len(t.prompts))}
    found = Looks({}, {}, {})
    for batch in _batches(rows):
        ids = [head for _, _, head in batch]
        tokens = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
        for i, head in enumerate(ids):
            tokens[i, : len(head)] = torch.tensor(head)
        last = torch.tensor([len(head) - 1 for head in ids])
        inputs = {"input_ids": tokens.to(decoder.model.device), "use_cache": False}
        seen = trace(decoder, inputs, keys=keys, outputs=outputs, downs=downs)
        for states, into, bare in (
            (seen.keys, found.keys, False),
            (seen.outputs, found.outputs, True),
            (seen.downs, found.downs, True),
        ):
            for layer, state in states.items():
                at = _wide(state[torch.arange(len(ids)), last])
                total = into.setdefault(layer, torch.zeros(len(tasks), at.shape[1], dtype=at.dtype))
                for (n, p, _), vector in zip(batch, at, strict=True):
                    if not bare:
                        total[n] += weights[n, p] * vector
                    elif p == 0:
                        total[n] = vector
    return found


def _weight(prompt: int, count: int) -> float:
    if count == 1:
        return 1.0
    return 0.5 if prompt == 0 else 0.5 / (count - 1)


def _batches(rows: list[tuple[int, int, tuple[int, ...]]]) -> Iterator[list[tuple[int, int, tuple[int, ...]]]]:
    """Rows of like length together, so that little is padded."""
    batch: list[tuple[int, int, tuple[int, ...]]] = []
    for row in sorted(rows, key=lambda r: (len(r[2]), r[2], r[:2])):
        if batch and (len(batch) + 1) * len(row[2]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to("cpu", torch.promote_types(tensor.dtype, torch.float32))
