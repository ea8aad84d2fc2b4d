"""Re-weighting of unlearned edits: facts that an edit did not get across are written again with more weight (ADR 0016).

The solution for many facts is a least-squares compromise. Most facts are answered long before their residual is gone. A
few are not, mostly names of many tokens or subjects whose keys lie close together, and they fail by one token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import prepare_suffixes

ROWS = 32
"""Prompts in one forward pass."""


@torch.no_grad()
def unlearned(decoder: Decoder, prompts: Sequence[Prompt]) -> Tensor:
    """Which prompts the weights in place don't answer with their target.

    Greedy decoding of a prompt gives the target if and only if each of its tokens is the likeliest one after the prompt
    and the target's tokens before it, so one forward pass over the text tells.

    Returns:
        Booleans (n,): True where greedy decoding does not give the target.
    """
    head = VocabularyHead(decoder)
    missed = torch.zeros(len(prompts), dtype=torch.bool)
    order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n].ids), prompts[n].ids))
    for begin in range(0, len(order), ROWS):
        members = order[begin : begin + ROWS]
        some = [prompts[n] for n in members]
        states = prepare_suffixes(decoder, [(p.ids[:-1], p.target - 1) for p in some], len(decoder.layers)).normed
        places = [(row, column) for row, p in enumerate(some) for column in range(len(p.ids) - p.target)]
        rows, columns = torch.tensor(places).T
        wanted = torch.tensor([token for p in some for token in p.ids[p.target :]])
        read = states[rows.to(states.device), columns.to(states.device)]
        wrong = head.likeliest(read).cpu() != wanted
        missed[torch.tensor(members)[rows[wrong]]] = True
    return missed
