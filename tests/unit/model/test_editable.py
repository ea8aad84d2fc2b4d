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
from tests.support.families import FAMILIES, OTHERS, random_model

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
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "mamba": ("MambaConfig", {**PART, "state_size": 8}, "attention modules and 0 MLP"),
    "mamba2": ("Mamba2Config", {**PART, "state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1}, "0 MLP"),
    "rwkv": ("RwkvConfig", {k: v for k, v in PART.items() if k != "pad_token_id"}, "0 attention modules"),
    "recurrent gemma": ("RecurrentGemmaConfig", WHOLE, "upper layers can't be run alone"),
    "gemma 3n": (
        "Gemma3nTextConfig",
        {
            **WHOLE,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 99,
            "num_kv_shared_layers": 0,
            "layer_types": ["full_attention"] * 2,
            "intermediate_size": [48] * 2,
            "activation_sparsity_pattern": [0.0] * 2,
        },
        "5 MLP modules",
    ),
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
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_what_can_be_edited_is_found(family: str, dtype: torch.dtype) -> None:
    assert editable(random_model(family, dtype)).layers


def test_multipliers_that_touch_no_mlp_change_nothing() -> None:
    shape = {**WHOLE, "embedding_multiplier": 12.0, "attention_multiplier": 0.1}
    decoder = editable(built("GraniteConfig", shape))
    assert all(layer.direct for layer in decoder.layers)
    assert decoder.logit_factor == 1


def test_scaled_residuals_and_logits_are_seen() -> None:
    decoder = editable(built("GraniteConfig", {**WHOLE, "residual_multiplier": 0.22, "logits_scaling": 8.0}))
    assert not any(layer.direct for layer in decoder.layers)
    assert decoder.logit_factor == pytest.approx(1 / 8)
    assert editable(built("CohereConfig", {**WHOLE, "logit_scale": 0.06})).logit_factor == pytest.approx(0.06)


MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "jamba": (
        "JambaConfig",
        {
            "num_experts": 1,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 8,
            "use_mamba_kernels": False,
            "mamba_dt_rank": 8,
        },
    ),
    "falcon h1": (
        "FalconH1Config",
        {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    ),
    "bamba": (
        "BambaConfig",
        {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "attn_layer_indices": [1]},
    ),
    "gemma 4": (
        "Gemma4TextConfig",
        {
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 99,
            "head_dim": 8,
            "global_head_dim": 8,
            "num_kv_shared_layers": 0,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
}


@pytest.mark.parametrize("kind", MORE)
def test_layers_of_two_kinds_and_layers_with_more_beside_their_mlp_are_found(kind: str) -> None:
    config, shape = MORE[kind]
    decoder = editable(built(config, {**WHOLE, **shape}))
    assert all(name in decoder.layers[0].down.name for name in (".0.", "down_proj"))
    assert decoder.splits == (kind == "gemma 4")


def dropping(model: Any) -> None:
    model.model.layers[1].mlp.register_forward_hook(lambda _m, _a, out: out * 0)


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
        (dropping, "takes in nothing of what its last linear map puts out"),
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
