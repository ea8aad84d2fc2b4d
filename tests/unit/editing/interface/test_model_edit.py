"""A model in memory is edited, computes with the edit, and is itself again; the edit is saved for PEFT and
transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

import kbsync.editing as ke
from kbsync.domain.errors import StoreError
from kbsync.editing.editors import EDITORS
from kbsync.ports import Progress
from tests.support.editing_world import UNTRAINED
from tests.support.families import (
    CONV1D,
    REWRITES,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    same_weights,
    texts,
    tokenizer,
    weights,
)

IDS = torch.tensor([[0, 5, 9, 40, 7]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return cast(torch.Tensor, model(input_ids=IDS).logits)


def edited(model: PreTrainedModel, **options: Any) -> ke.ModelEdit:
    changes = options.pop("recipe", {})
    return ke.edit_model(model, tokenizer(), REWRITES, recipe(**changes), texts=texts(), **options)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", UNTRAINED)
def test_inside_the_block_the_model_is_edited_and_afterwards_it_is_itself_bit_for_bit(algorithm: str) -> None:
    model = random_model("llama").train()
    before, plain = weights(model), logits(model)
    edit = edited(model, recipe={"algorithm": algorithm, "layers": (1,), "learning_rate": 0.05})
    assert same_weights(model, before) and model.training
    with edit as same_model:
        assert same_model is model and edit.in_place
        assert not torch.allclose(logits(model), plain, atol=1e-4)
        assert [n for n, (i, _) in weights(model).items() if i != before[n][0]] == list(edit.delta.parameters)
    assert same_weights(model, before) and torch.equal(logits(model), plain)


@pytest.mark.slow
def test_it_is_the_edit_that_the_editor_makes() -> None:
    edit = edited(random_model("gemma3"))
    editor = EDITORS["memit"](random_model("gemma3"), tokenizer(), "base", MemoryArtifacts(), texts())
    delta = cast(Any, editor.edit(REWRITES, recipe(), Silent()).delta)
    assert edit.delta.parameters == delta.parameters
    for name in delta.parameters:
        assert all(torch.equal(a, b) for a, b in zip(edit.delta.factors[name], delta.factors[name], strict=True))


def test_weights_come_back_after_an_error_too() -> None:
    model = random_model("gpt2")
    before, edit = weights(model), edited(model)
    with pytest.raises(RuntimeError, match="on purpose"), edit:
        raise RuntimeError("on purpose")
    assert same_weights(model, before)


@pytest.mark.slow
def test_edits_on_top_of_each_other_are_taken_back_in_turn() -> None:
    model = random_model("llama")
    before = weights(model)
    first = edited(model)
    first.apply()
    with pytest.raises(ke.EditError, match="in place already"):
        first.apply()
    between = weights(model)
    second = ke.edit_model(model, tokenizer(), REWRITES[:1], recipe(), texts=texts())
    second.apply()
    with pytest.raises(ke.EditError, match="Other weights are in place"):
        first.undo()
    assert first.in_place
    second.undo()
    assert same_weights(model, between)
    first.undo()
    first.undo()
    assert same_weights(model, before)


def test_what_was_written_and_what_was_left_out_is_told_by_rewrite() -> None:
    bad = ke.Rewrite("The capital of {} is", "", "Oslo")
    with pytest.warns(UserWarning, match="is left out: the subject is empty"):
        edit = ke.edit_model(random_model("llama"), tokenizer(), [bad, *REWRITES, REWRITES[0]], recipe(), texts=texts())
    assert edit.rewrites == (bad, *REWRITES)
    assert edit.left_out == {bad: "the subject is empty"}
    assert set(edit.losses) == set(REWRITES) and all(loss > 0 for loss in edit.losses.values())
    assert [layer.layer for layer in edit.report.layers] == [1, 2]
    assert "Linear" not in repr(edit), "a model is not printed with its edit"


@pytest.mark.slow
def test_preserved_prompts_hold_the_change_back() -> None:
    model = random_model("llama")
    preserved = [ke.Preserved("The capital of {} is", s) for s in ("Peru", "Kenya")]
    free = edited(model, recipe={"guard_weight": 100.0})
    held = edited(model, recipe={"guard_weight": 100.0}, preserved=preserved)
    name = free.delta.parameters[0]
    assert not torch.equal(free.delta.factors[name][1], held.delta.factors[name][1])


@pytest.mark.slow
def test_text_is_sampled_where_none_is_given() -> None:
    edit = ke.edit_model(random_model("llama"), tokenizer(), REWRITES, recipe())
    other = edited(random_model("llama"))
    name = edit.delta.parameters[0]
    assert not torch.equal(edit.delta.factors[name][1], other.delta.factors[name][1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_a_cache_serves_the_same_weights_only(kind: str, tmp_path: Path) -> None:
    cache = ke.MemoryArtifacts() if kind == "memory" else tmp_path / "cache"
    model = random_model("llama")
    assert edited(model, artifacts=cache).report.targets_reused == 0
    again = edited(model, artifacts=cache, recipe={"covariance_weight": 9.0})
    assert again.report.targets_reused == len(REWRITES)
    with again:
        assert edited(model, artifacts=cache).report.targets_reused == 0
    assert edited(model).report.targets_reused == 0


def test_a_covariance_of_too_little_text_is_warned_of_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.warns(UserWarning, match="layer 1 is not positive definite"):
        edit = ke.edit_model(random_model("llama"), tokenizer(), REWRITES, recipe(), texts=["abc"])
    assert all(layer.ridge > 0 for layer in edit.report.layers)
    assert capsys.readouterr() == ("", "")


class Steps(Progress):
    def __init__(self) -> None:
        self.names: list[str] = []

    def start(self, step: str, total: int | None) -> None:
        self.names.append(step)

    def advance(self, count: int = 1) -> None: ...

    def finish(self, note: str = "") -> None: ...

    def abandon(self) -> None: ...


def test_the_steps_are_shown() -> None:
    progress = Steps()
    edited(random_model("llama"), progress=progress)
    assert progress.names == ["covariance", "targets", "layers"]


@pytest.mark.slow
def test_peft_loads_the_adapter_and_computes_the_same(tmp_path: Path) -> None:
    for family in ("llama", *CONV1D):
        model = random_model(family)
        edit = edited(model)
        with edit:
            expected = logits(model)
        matrices = edit.save_peft(tmp_path / family, base="some/base")
        assert all(m.relative_loss == 0 for m in matrices)
        config = json.loads((tmp_path / family / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "some/base"
        adapted: Any = PeftModel.from_pretrained(random_model(family), str(tmp_path / family))
        adapted.eval()
        torch.testing.assert_close(logits(adapted), expected, rtol=0, atol=1e-5)
    assert [m.rank for m in edit.save_peft(tmp_path / "one", rank=1)] == [1, 1]


@pytest.mark.parametrize("in_place", [False, True])
def test_transformers_loads_the_edited_model(in_place: bool, tmp_path: Path) -> None:
    model = random_model("llama-tied")
    before, edit = weights(model), edited(model)
    with edit:
        expected = logits(model)
    if in_place:
        edit.apply()
    edit.save_pretrained(tmp_path / "model")
    assert edit.in_place is in_place
    edit.undo()
    assert same_weights(model, before)
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    loaded.eval()
    torch.testing.assert_close(logits(loaded), expected, rtol=0, atol=1e-6)
    assert AutoTokenizer.from_pretrained(tmp_path / "model")("Oslo")["input_ids"] == tokenizer()("Oslo")["input_ids"]


def test_nothing_is_written_over_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = edited(random_model("llama"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    for save in (edit.save_peft, edit.save_pretrained):
        with pytest.raises(StoreError, match="is there already"):
            save(tmp_path / "mine")

    def broken(*_args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", broken)
    with pytest.raises(OSError, match="disk full"):
        edit.save_pretrained(tmp_path / "half")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"] and not edit.in_place


def test_what_is_refused() -> None:
    class Slow:
        is_fast = False

    model = random_model("llama")
    with pytest.raises(ke.ModelError, match="Slow is a slow tokenizer"):
        ke.edit_model(model, cast(PreTrainedTokenizerFast, Slow()), REWRITES, recipe())
    with pytest.raises(ke.EditError, match="'serac' is none of memit"):
        edited(model, recipe={"algorithm": "serac"})
    with pytest.raises(ke.EditError, match="no request"):
        ke.edit_model(model, tokenizer(), [], recipe())
    with pytest.raises(ke.EditError, match="bfloat16 weights, and the model is loaded in float32"):
        edited(model, recipe={"dtype": "bfloat16"})
