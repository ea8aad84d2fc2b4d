"""Facts in shards, each written into layers of its own: fewer facts for each matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.model.delta import FactorDelta
from kbsync.ports import Edit, Editor, Work

SHARDS = 2


class ShardedEditor(Editor):
    """Divides the recipe's layers into ``SHARDS`` runs, and the facts by the order of their ids; each shard is written
    into its run alone, on the base, and the changes are put together. So a shard does not see what the others change.
    """

    def __init__(self, editor: Editor) -> None:
        """``editor``: writes one shard. Its change must be factors of whole parameters."""
        self._editor = editor

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """As the port says.

        Raises:
            EditError: The recipe has fewer layers than shards, there are fewer facts, or a shard can't be written.
        """
        ordered = sorted(rewrites, key=lambda rewrite: rewrite.id)
        if min(len(recipe.layers), len(ordered)) < SHARDS:
            raise EditError(f"{len(ordered)} facts and {len(recipe.layers)} layers can't be divided by {SHARDS}.")
        edits = [
            self._editor.edit(ordered[n::SHARDS], replace(recipe, layers=layers), work, guards=guards)
            for n, layers in enumerate(runs(recipe.layers))
        ]
        return replace(
            edits[0],
            delta=FactorDelta({name: f for edit in edits for name, f in _factors(edit).items()}),
            report=replace(
                edits[0].report,
                layers=tuple(layer for edit in edits for layer in edit.report.layers),
                losses={i: loss for edit in edits for i, loss in edit.report.losses.items()},
                left_out={i: why for edit in edits for i, why in edit.report.left_out.items()},
                targets_reused=sum(edit.report.targets_reused for edit in edits),
                seconds=sum(edit.report.seconds for edit in edits),
            ),
            targets={i: digest for edit in edits for i, digest in edit.targets.items()},
        )


def runs(layers: Sequence[int]) -> list[tuple[int, ...]]:
    """The layers in ``SHARDS`` runs, the lower ones longer where they do not divide evenly."""
    size = -(-len(layers) // SHARDS)
    return [tuple(layers[begin : begin + size]) for begin in range(0, len(layers), size)]


def _factors(edit: Edit) -> Mapping[str, tuple[Tensor, Tensor]]:
    assert isinstance(edit.delta, FactorDelta), "whole matrices of two layers' runs would not be a sum of factors"
    return edit.delta.factors
