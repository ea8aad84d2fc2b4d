"""The columns of K: at which keys the closed form puts which residuals, and with what weight.

Published MEMIT has one column for each fact, the mean of its keys in several contexts (equation 19). A fact that is
written in many phrasings has one column for each key that they have: what stands before the subject shapes the key, and
the mean of keys that differ much lies near none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt, TokenisedRewrite
from kbsync.editing.memit.target_pool import Target


@dataclass(frozen=True, slots=True)
class Column:
    """One column of K and of R."""

    prompts: tuple[Prompt, ...]
    """Whose keys are averaged, the bare prompt's first."""
    z: Tensor
    """(sites, d), what must be at the insertion's sites in the first of them."""
    weight: float
    """In the least squares."""
    checked: tuple[Prompt, ...]
    """Prompts that the column must get answered."""
    rewrites: frozenset[str]
    """Ids of the rewrites that it serves."""


def mean_columns(rewrites: Sequence[TokenisedRewrite], targets: Mapping[str, Target]) -> list[Column]:
    """A column for each fact: the mean over its prompts, and the bare prompt's z."""
    return [Column(r.prompts, targets[r.id].z[0], 1.0, (r.bare,), frozenset([r.id])) for r in rewrites]


def prefix_columns(rewrites: Sequence[TokenisedRewrite], targets: Mapping[str, Target]) -> list[Column]:
    """A column for each distinct key; its weight is the share of the fact's prompts that have it, so that facts with
    many keys count no more than others. Facts with a key in common share its column, and they share δ. Prompts whose
    key does not say which subject is meant have none (``TokenisedRewrite.keyed``)."""
    by_key: dict[tuple[int, ...], list[tuple[TokenisedRewrite, int]]] = {}
    for rewrite in rewrites:
        for index, prompt in enumerate(rewrite.keyed):
            by_key.setdefault(prompt.key_ids, []).append((rewrite, index))
    columns = []
    for members in by_key.values():
        rewrite, index = members[0]
        columns.append(
            Column(
                prompts=(rewrite.keyed[index],),
                z=targets[rewrite.id].z[index],
                weight=sum(1 / len(r.keyed) for r, _ in members),
                checked=tuple(r.keyed[i] for r, i in members),
                rewrites=frozenset(r.id for r, _ in members),
            )
        )
    return columns


def weights_of(columns: Sequence[Column]) -> Tensor:
    """The columns' weights (n,), float64."""
    return torch.tensor([column.weight for column in columns], dtype=torch.float64)


def reweighted(columns: Sequence[Column], factors: Tensor) -> dict[str, float]:
    """By which factor each rewrite's columns were weighted up at most, by id, where it is not 1.

    Args:
        factors: (n,), of each column.
    """
    largest: dict[str, float] = {}
    for column, factor in zip(columns, factors.tolist(), strict=True):
        for rewrite in column.rewrites:
            largest[rewrite] = max(largest.get(rewrite, 1.0), factor)
    return {rewrite: factor for rewrite, factor in sorted(largest.items()) if factor != 1}
