"""Facts in shards: the change of each run of layers is what an edit of that shard alone gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.delta import FactorDelta
from kbsync.research.shards import ShardedEditor, runs
from tests.support.editing_world import paper_world
from tests.support.families import REWRITES, MemoryArtifacts, Silent, texts, tokenizer


def test_layers_are_divided_into_runs_of_neighbours() -> None:
    assert runs((1, 2, 3, 4, 5)) == [(1, 2, 3), (4, 5)]
    assert runs((4, 9)) == [(4,), (9,)]


def test_each_shard_is_written_into_its_own_layers() -> None:
    model, recipe, _, _ = paper_world("llama")
    editor = MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())
    edit = ShardedEditor(editor).edit(REWRITES[::-1], recipe, Silent())
    ordered = sorted(REWRITES, key=lambda rewrite: rewrite.id)
    assert isinstance(edit.delta, FactorDelta)
    alone = [
        editor.edit(ordered[n::2], replace(recipe, layers=layers), Silent())
        for n, layers in enumerate(runs(recipe.layers))
    ]
    assert not set(alone[0].delta.parameters) & set(alone[1].delta.parameters)
    for one in alone:
        assert isinstance(one.delta, FactorDelta)
        for name, (left, right) in one.delta.factors.items():
            torch.testing.assert_close(edit.delta.factors[name], (left, right), rtol=0, atol=0)
    assert edit.delta.parameters == tuple(sorted(name for one in alone for name in one.delta.parameters))
    assert set(edit.targets) == {rewrite.id for rewrite in REWRITES}
    assert [layer.layer for layer in edit.report.layers] == list(recipe.layers)


def test_what_can_t_be_divided_is_refused() -> None:
    model, recipe, _, _ = paper_world("llama")
    editor = ShardedEditor(MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts()))
    with pytest.raises(EditError, match="can't be divided by 2"):
        editor.edit(REWRITES[:1], recipe, Silent())
    with pytest.raises(EditError, match="can't be divided by 2"):
        editor.edit(REWRITES, replace(recipe, layers=(1,)), Silent())
