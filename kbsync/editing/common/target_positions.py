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
    per_token: Tensor
    """(n,), float64: 1 / the number of the prompt's target tokens."""
    weight: Tensor
    """(n,), float64: makes a fact's weighted sum the mean over its prompts of the mean over their target tokens."""

    def to(self, device: torch.device) -> TargetPositions:
        """The same on a device, after one transfer of the indices and one of the weights."""
        if device == self.row.device:
            return self
        row, column, token, fact = torch.stack([self.row, self.column, self.token, self.fact]).to(device)
        per_token, weight = torch.stack([self.per_token, self.weight]).to(device)
        return TargetPositions(row, column, token, fact, per_token, weight)

    def keep(self, rows: Tensor, row_fact: Tensor) -> TargetPositions:
        """Only the entries of some rows, which are renumbered from 0.

        Args:
            rows: Their numbers (r,), ascending.
            row_fact: (r,), the new index of each row's fact; facts stay in their order.
        """
        renumbered = torch.full((int(self.row.max()) + 1,), -1).index_copy(0, rows, torch.arange(len(rows)))
        row = renumbered[self.row]
        kept = row >= 0
        row, per_token = row[kept], self.per_token[kept]
        fact = row_fact[row]
        weight = per_token / torch.bincount(row_fact)[fact]
        return TargetPositions(row, self.column[kept], self.token[kept], fact, per_token, weight)


def target_positions(facts: Sequence[Sequence[Prompt]], *, from_lookup: bool) -> TargetPositions:
    """Positions of all target tokens.

    Args:
        facts: Each fact's prompts, at least one.
        from_lookup: Whether column 0 of a row is its lookup position, or the text's first token.
    """
    owned = [(fact, prompt) for fact, prompts in enumerate(facts) for prompt in prompts]
    entries = [
        (row, i - 1 - (prompt.lookup if from_lookup else 0), prompt.ids[i], fact, 1 / (len(prompt.ids) - prompt.target))
        for row, (fact, prompt) in enumerate(owned)
        for i in range(prompt.target, len(prompt.ids))
    ]
    row, column, token, fact = (torch.tensor([e[k] for e in entries]) for k in range(4))
    per_token = torch.tensor([e[4] for e in entries], dtype=torch.float64)
    weight = per_token / torch.tensor([len(prompts) for prompts in facts])[fact]
    return TargetPositions(row, column, token, fact, per_token, weight)
