"""Text decoders inside multimodal wrappers: found, edited, and exported into the same wrapper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForImageTextToText

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.delta import applied
from kbsync.model.editable import editable
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import load
from kbsync.model.quiet import quiet
from tests.support.editing_world import delta_of
from tests.support.families import REWRITES, MemoryArtifacts, Silent, recipe, texts, tokenizer

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 96,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
PICTURES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
QWEN: dict[str, Any] = {"depth": 4, "hidden_size": 16, "out_hidden_size": 32, "intermediate_size": 24, "num_heads": 2}
TURNED = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}}
LINEAR = {f"linear_{kind}": 2 for kind in ("num_value_heads", "num_key_heads")}
LINEAR |= {f"linear_{kind}_head_dim": 8 for kind in ("key", "value")}
ROUTED = {"intermediate_size_mlp": 48, "num_local_experts": 2, "interleave_moe_layer_step": 2}
WRAPPERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gemma3": (
        {"model_type": "gemma3_text", "query_pre_attn_scalar": 8, "sliding_window": 90},
        {**PICTURES, "model_type": "siglip_vision_model"},
    ),
    "qwen3_vl": ({"model_type": "qwen3_vl_text", **TURNED}, {**QWEN, "deepstack_visual_indexes": [0]}),
    "qwen3_5": (
        {"model_type": "qwen3_5_text", **LINEAR, "layer_types": ["linear_attention", "full_attention"] * 2},
        QWEN,
    ),
    "llama4": (
        {"model_type": "llama4_text", **ROUTED},
        {**PICTURES, "vision_output_dim": 16, "projector_input_dim": 16, "projector_output_dim": 16},
    ),
    "mistral3": ({"model_type": "mistral"}, {**PICTURES, "model_type": "pixtral", "head_dim": 8}),
}


def saved(kind: str, directory: Path, **options: Any) -> Path:
    """A random wrapper as a directory."""
    text, pictures = WRAPPERS[kind]
    shape = {**TEXT, **text, "vocab_size": len(tokenizer()), "initializer_range": 0.15}
    config = AutoConfig.for_model(kind, text_config=shape, vision_config=pictures)
    auto: Any = AutoModelForImageTextToText
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(7)
        auto.from_config(config).save_pretrained(directory, **options)
        tokenizer().save_pretrained(directory)
    (directory / "preprocessor_config.json").write_text("{}")
    return directory


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_wrapper_is_loaded_edited_and_exported_into_the_same_wrapper(kind: str, tmp_path: Path) -> None:
    base = saved(kind, tmp_path / "base")
    loaded = load(str(base), cache_dir=tmp_path / "cache", device="cpu")
    decoder = editable(loaded.model)
    assert type(loaded.model).__name__ == json.loads((base / "config.json").read_text())["architectures"][0]
    one = recipe(contexts=(), context_count=0, covariance_weight=1e-6, steps=6, learning_rate=0.2, clamp=8.0)
    editor = MemitEditor(loaded.model, loaded.tokenizer, "base", MemoryArtifacts(), texts(12))
    delta = delta_of(editor.edit(REWRITES[:1], one, Silent()))
    assert set(delta.parameters) == {decoder.layers[i].down.name for i in one.layers}
    pair = [asked(REWRITES[0])]
    before = TorchLanguageModel(loaded.model, loaded.tokenizer, "base").scores(pair)
    with applied(loaded.model, delta):
        wanted = TorchLanguageModel(loaded.model, loaded.tokenizer, "edited").scores(pair)
    assert wanted[0].logprob > before[0].logprob
    out = export_hf(loaded, delta, tmp_path / "out")

    again = load(str(out), cache_dir=tmp_path / "cache", device="cpu")
    assert type(again.model) is type(loaded.model)
    assert TorchLanguageModel(again.model, again.tokenizer, "out").scores(pair) == wanted
    was, now = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    assert was.keys() == now.keys()
    changed = {name for name in was if not torch.equal(was[name], now[name])}
    assert len(changed) == len(one.layers)
    for name in ("config.json", "preprocessor_config.json"):
        assert (out / name).read_bytes() == (base / name).read_bytes()


def asked(rewrite: Rewrite) -> tuple[str, str]:
    return rewrite.template.replace("{}", rewrite.subject), f" {rewrite.target}"
