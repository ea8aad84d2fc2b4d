"""Every family is edited rightly, or refused with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from kbsync.domain.errors import ModelError
from kbsync.model.attention import group_queries
from kbsync.model.editable import editable
from tests.support.families import FAMILIES, random_model

PART: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
PART |= {"pad_token_id": 1}
WHOLE: dict[str, Any] = {**PART, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
WHOLE |= {"max_position_embeddings": 64}
LINEAR = {f"linear_{name}": n for name, n in (("num_value_heads", 4), ("num_key_heads", 2))}
LINEAR |= {"linear_key_head_dim": 16, "linear_value_head_dim": 16, "head_dim": 16}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "mamba": ("MambaConfig", {**PART, "state_size": 8}, "attention modules and 0 MLP"),
    "mamba2": ("Mamba2Config", {**PART, "state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1}, "0 MLP"),
    "rwkv": ("RwkvConfig", {k: v for k, v in PART.items() if k != "pad_token_id"}, "0 attention modules"),
    "lfm2": ("Lfm2Config", {**WHOLE, "layer_types": ["conv", "full_attention"]}, "layer 0 keeps no keys and values"),
    "qwen 3.5": (
        "Qwen3_5TextConfig",
        {**WHOLE, **LINEAR, "layer_types": ["linear_attention", "full_attention"]},
        "layer 0 keeps no keys and values",
    ),
    "recurrent gemma": ("RecurrentGemmaConfig", WHOLE, "keeps no keys and values"),
    "granite": ("GraniteConfig", {**WHOLE, "residual_multiplier": 0.22}, r"arrives multiplied by 0\.22"),
    "granite's logits": ("GraniteConfig", {**WHOLE, "logits_scaling": 8.0}, "logits are not head"),
    "cohere": ("CohereConfig", {**WHOLE, "logit_scale": 0.06}, "logits are not head"),
    "mixtral": ("MixtralConfig", {**WHOLE, "num_local_experts": 2}, "mixture of experts"),
    "openai-gpt": ("OpenAIGPTConfig", {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4}, "is not a decoder"),
}


def built(config: str, shape: dict[str, Any]) -> PreTrainedModel:
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM
    model: PreTrainedModel = auto.from_config(getattr(transformers, config)(**shape)).eval()
    group_queries(model)
    return model


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_be_edited_rightly_is_refused_by_a_sentence(kind: str) -> None:
    config, shape, message = REFUSED[kind]
    with pytest.raises(ModelError, match=message) as caught:
        editable(built(config, shape))
    assert caught.value.next_step
    assert "\n" not in caught.value.what


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_can_be_edited_is_found(family: str, dtype: torch.dtype) -> None:
    assert editable(random_model(family, dtype)).layers


def test_multipliers_that_touch_no_mlp_change_nothing() -> None:
    shape = {**WHOLE, "embedding_multiplier": 12.0, "attention_multiplier": 0.1}
    assert editable(built("GraniteConfig", shape)).layers


def scaled(model: Any) -> None:
    model.model.layers[1].mlp.register_forward_hook(lambda _m, _a, out: out * 1.5)


def failing(model: Any) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("odd")

    model.model.layers[1].mlp.register_forward_hook(fail)


def absolute(model: Any) -> None:
    """Each place of a pass counts from the pass's own beginning, as in a model that ignores ``position_ids``."""

    class Shifted(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> Any:
            return self.inner(x, torch.arange(x.shape[1])[None].expand_as(position_ids) * 5)

    model.model.rotary_emb = Shifted(model.model.rotary_emb)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (scaled, r"arrives multiplied by 1\.5"),
        (failing, "ZeroDivisionError: odd"),
        (absolute, "predictions then differ"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_computes_otherwise_is_refused(
    spoil: Callable[[Any], None], message: str, dtype: torch.dtype
) -> None:
    model = random_model("llama", dtype)
    spoil(model)
    with pytest.raises(ModelError, match=message):
        editable(model)
