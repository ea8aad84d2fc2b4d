"""Pressing: facts that an edit did not get across are written again with more weight (ADR 0016).

The solution of many facts is a least-squares compromise. Most facts are answered long before their residual is gone; a few,
mostly names of many tokens or subjects whose keys lie close together, are not, and fail by one token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kbsync.editing.memit.head import Head
from kbsync.editing.subject import Task
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import prepare

ROWS = 32


@torch.no_grad()
def unanswered(decoder: Decoder, tasks: Sequence[Task]) -> Tensor:
    """Booleans (N,): facts whose bare prompt is not continued greedily with the target by the weights in place.

    Greedy decoding gives the target if and only if each of its tokens is the likeliest one behind the prompt and the
    target's tokens before it, so one forward pass over the text tells.
    """
    head = Head(decoder)
    found = torch.zeros(len(tasks), dtype=torch.bool)
    order = sorted(range(len(tasks)), key=lambda n: (len(tasks[n].prompts[0].ids), tasks[n].request.id))
    for begin in range(0, len(order), ROWS):
        members = order[begin : begin + ROWS]
        bare = [tasks[n].prompts[0] for n in members]
        states = prepare(decoder, [(p.ids[:-1], p.target - 1) for p in bare], len(decoder.layers)).normed
        spots = [(row, column) for row, p in enumerate(bare) for column in range(len(p.ids) - p.target)]
        rows, columns = torch.tensor(spots).T
        wanted = torch.tensor([token for p in bare for token in p.ids[p.target :]])
        wrong = head.likeliest(states[rows, columns]).cpu() != wanted
        found[torch.tensor(members)[rows[wrong]]] = True
    return found
