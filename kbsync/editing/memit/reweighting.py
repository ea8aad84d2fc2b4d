"""Re-weighting of unlearned edits: facts that an edit did not get across are written again with more weight (ADR 0016).

The solution for many facts is a least-squares compromise. Most facts are answered long before their residual is gone. A
few are not, mostly names of many tokens or subjects whose keys lie close together, and they fail by one token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import prepare_suffixes

ROWS = 32
"""Prompts in one forward pass."""


@torch.no_grad()
def unlearned(decoder: Decoder, rewrites: Sequence[TokenisedRewrite]) -> Tensor:
    """Which facts the weights in place don't answer.

    Greedy decoding of the bare prompt gives the target if and only if each of its tokens is the likeliest one after the
    prompt and the target's tokens before it, so one forward pass over the text tells.

    Returns:
        Booleans (N,): True where greedy decoding does not give the target.
    """
    head = VocabularyHead(decoder)
    missed = torch.zeros(len(rewrites), dtype=torch.bool)
    order = sorted(range(len(rewrites)), key=lambda n: (len(rewrites[n].bare.ids), rewrites[n].id))
    for begin in range(0, len(order), ROWS):
        members = order[begin : begin + ROWS]
        prompts = [rewrites[n].bare for n in members]
        states = prepare_suffixes(decoder, [(p.ids[:-1], p.target - 1) for p in prompts], len(decoder.layers)).normed
        places = [(row, column) for row, p in enumerate(prompts) for column in range(len(p.ids) - p.target)]
        rows, columns = torch.tensor(places).T
        wanted = torch.tensor([token for p in prompts for token in p.ids[p.target :]])
        wrong = head.likeliest(states[rows, columns]).cpu() != wanted
        missed[torch.tensor(members)[rows[wrong]]] = True
    return missed
