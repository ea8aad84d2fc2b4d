"""Models whose modules lie on the disk answer and are edited as if they were in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kbsync.domain.errors import EditError, ModelError
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.base import TorchBase
from kbsync.model.load import LoadedModel, load
from kbsync.model.quiet import quiet
from kbsync.model.spread import Spread
from tests.support.editing_world import delta_of, same_factors
from tests.support.families import REWRITES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer

pytest.importorskip("accelerate", reason="needs the extra offload")
PROMPTS = ["The capital of France is", "A", "Therefore"]
PARTS = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head", *(f"model.layers.{n}" for n in range(4)))


def spread(**elsewhere: str) -> Spread:
    """Everything in memory but the named parts ("layers_0" for ``model.layers.0``)."""
    places = dict.fromkeys(PARTS, "cpu")
    moved = {
        name if name == "lm_head" else "model." + name.replace("layers_", "layers."): v for name, v in elsewhere.items()
    }
    return Spread(places | moved)


@pytest.fixture(scope="module", params=["llama", "llama-tied", "gemma3", "qwen2"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(request.param)
    with quiet():
        random_model(request.param).save_pretrained(directory)
        tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def whole(saved: Path) -> LoadedModel:
    return load(str(saved), cache_dir=saved / "cache", device="cpu")


def loaded(saved: Path, by: Spread) -> LoadedModel:
    return load(str(saved), cache_dir=saved / "cache", spread=by)


def edited(one: LoadedModel, **changes: Any) -> Any:
    editor = MemitEditor(one.model, one.tokenizer, "base", MemoryArtifacts(), texts())
    return editor.edit(REWRITES, recipe(**changes), Silent())


def test_the_weights_of_a_layer_that_ran_go_back_to_the_system(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    monkeypatch.setattr("kbsync.model.load.map_large_blocks", lambda: asked.append(1))
    load(str(saved), cache_dir=saved / "cache", device="cpu")
    assert asked == []
    loaded(saved, spread())
    assert asked == [1]


@pytest.mark.slow
def test_it_answers_and_is_edited_with_the_same_bits(saved: Path, whole: LoadedModel) -> None:
    parted = loaded(saved, spread(layers_0="disk", layers_3="disk"))
    places = {str(p.device) for p in parted.model.parameters()}
    assert places == {"cpu", "meta"}, "some parameters are on the disk"
    assert parted.fingerprint == whole.fingerprint
    here, there = edited(whole), edited(parted)
    assert there.targets == here.targets
    assert same_factors(there, here)
    pairs = [(prompt, "Rome") for prompt in PROMPTS]
    with TorchBase(whole).edited(delta_of(here)) as one, TorchBase(parted).edited(delta_of(here)) as other:
        assert other.complete(PROMPTS) == one.complete(PROMPTS)
        assert other.scores(pairs) == one.scores(pairs)
        assert other.sample(PROMPTS, length=20) == one.sample(PROMPTS, length=20)
        assert other.perplexity(PROMPTS) == one.perplexity(PROMPTS)
    assert {str(p.device) for p in parted.model.parameters()} == places


@pytest.mark.slow
@pytest.mark.parametrize(
    ("elsewhere", "said"),
    [({"layers_1": "disk"}, "layer 1, which the recipe edits"), ({"layers_2": "disk"}, "layer 2, which the recipe")],
)
def test_an_edited_layer_must_stay_in_place(saved: Path, elsewhere: dict[str, str], said: str) -> None:
    parted = loaded(saved, spread(**elsewhere))
    with pytest.raises(EditError, match=said) as raised:
        edited(parted, layers=(1, 2))
    assert "leave the device map out" in raised.value.next_step
    assert edited(parted, layers=(0, 3)).targets


def test_a_split_layer_is_refused(whole: LoadedModel) -> None:
    from kbsync.model.decoder import discover
    from kbsync.model.spread import require_in_place

    decoder = discover(whole.model)
    layers = decoder.edited_layers([1])
    require_in_place(decoder, layers)
    weight = layers[0].down.module
    before = weight.weight
    weight.weight = torch.nn.Parameter(torch.empty_like(before, device="meta"), requires_grad=False)
    try:
        with pytest.raises(EditError, match="splits it"):
            require_in_place(decoder, layers)
    finally:
        weight.weight = before


def test_a_map_that_leaves_a_module_out_is_refused(saved: Path) -> None:
    with pytest.raises(ModelError, match="can't be loaded"):
        loaded(saved, Spread({"model.embed_tokens": "cpu", "model.layers.0": "disk"}))


def test_without_accelerate_the_extra_is_named(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.model.spread.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs accelerate") as raised:
        loaded(saved, Spread("auto"))
    assert "kbsync[offload]" in raised.value.next_step


@pytest.mark.slow
def test_what_exceeds_the_memory_goes_to_the_disk(saved: Path, whole: LoadedModel) -> None:
    layer = sum(p.numel() * 4 for p in whole.model.model.layers[0].parameters())
    head = sum(p.numel() * 4 for n, p in whole.model.named_parameters() if "layers" not in n)
    auto = loaded(saved, Spread("auto", {"cpu": f"{(head + 3.5 * layer) / 1000:.0f}KB"}))
    assert "meta" in {str(p.device) for p in auto.model.parameters()}
    base, parted = TorchBase(whole).language_model(), TorchBase(auto).language_model()
    assert parted.complete(PROMPTS) == base.complete(PROMPTS)
