"""The attribute lens: what a linear relation reads in a state, whatever the prompt says (Hernandez et al., ICLR 2024,
section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.relations.linear import LinearRelation, decoded
from kbsync.editing.relations.states import read_states
from kbsync.model.decoder import Decoder

TOP = 3
"""So many tokens are seen in a state."""


def seen(
    decoder: Decoder,
    tokenizer: Any,
    relation: LinearRelation,
    beta: float,
    prompts: Sequence[Prompt],
    *,
    top: int = TOP,
) -> list[tuple[tuple[int, str], ...]]:
    """The likeliest answers' first tokens in each prompt's subject, as ids and texts, the likeliest first.

    Args:
        decoder: The model, frozen, with the change of a version or without.
        tokenizer: Its tokenizer.
        relation: Estimated on the unedited model.
        beta: β.
        prompts: Only their subjects' states are read.
        top: How many.
    """
    states = read_states(decoder, prompts, [relation.layer]).subjects[relation.layer]
    with torch.no_grad():
        best = decoded(decoder, relation.objects(states, beta)).topk(top, dim=-1).indices
    return [tuple((token, tokenizer.decode([token]).strip()) for token in row) for row in best.tolist()]
