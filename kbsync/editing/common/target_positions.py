"""Where a loss over target tokens is read, in a batch of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt


@dataclass(frozen=True, slots=True)
class TargetPositions:
    """One entry for each target token of each prompt, n entries in all.

    The states of a batch are (rows, length, d); entry i reads ``states[row[i], column[i]]``, the state before its
    token.
    """

    row: Tensor
    """(n,), row of the batch; a fact's prompts are neighbouring rows."""
    column: Tensor
    """(n,), column of the token before the wanted one."""
    token: Tensor
    """(n,), wanted token id."""
    fact: Tensor
    """(n,), index of the fact that the prompt belongs to."""
    weight: Tensor
    """(n,), float64: makes a fact's weighted sum the mean over its prompts of the mean over their target tokens."""

    def keep(self, facts: Tensor, rows_per_fact: int) -> TargetPositions:
        """Only the entries of ``facts`` (sorted indices), facts and rows renumbered from 0."""
        renumbered = torch.full((int(self.fact.max()) + 1,), -1).index_copy(0, facts, torch.arange(len(facts)))
        fact = renumbered[self.fact]
        kept = fact >= 0
        row = fact * rows_per_fact + self.row % rows_per_fact
        return TargetPositions(row[kept], self.column[kept], self.token[kept], fact[kept], self.weight[kept])


def target_positions(facts: Sequence[Sequence[Prompt]], *, from_lookup: bool) -> TargetPositions:
    """Positions of all target tokens.

    Args:
        facts: Each fact's prompts, the same number for each.
        from_lookup: Whether column 0 of a row is its lookup position, or the text's first token.
    """
    per_fact = len(facts[0])
    entries = [
        (
            fact * per_fact + index,
            i - 1 - (prompt.lookup if from_lookup else 0),
            prompt.ids[i],
            fact,
            1 / (len(prompt.ids) - prompt.target),
        )
        for fact, prompts in enumerate(facts)
        for index, prompt in enumerate(prompts)
        for i in range(prompt.target, len(prompt.ids))
    ]
    row, column, token, fact = (torch.tensor([e[k] for e in entries]) for k in range(4))
    per_token = torch.tensor([e[4] for e in entries], dtype=torch.float64)
    return TargetPositions(row, column, token, fact, per_token / per_fact)
