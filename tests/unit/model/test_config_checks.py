from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kbsync.domain.errors import ModelError
from kbsync.model.config_checks import require_loadable, stored_tensors

CAUSAL = frozenset({"LlamaForCausalLM"})
PLAIN = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "quantization_config": None}
WEIGHT = "model.layers.0.mlp.down_proj.weight"


def model(directory: Path, tensors: dict[str, torch.Tensor] | None = None, **config: object) -> Path:
    """A directory that looks like a model's."""
    save_file(tensors or {WEIGHT: torch.ones(4, 8)}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(PLAIN | config))
    return directory


def test_the_tensors_of_a_plain_model_are_told(tmp_path: Path) -> None:
    tensors = {WEIGHT: torch.ones(4, 8, dtype=torch.bfloat16), "norm": torch.ones(3)}
    found = {t.name: (t.dtype, t.shape, t.numbers) for t in require_loadable(model(tmp_path, tensors), CAUSAL)}
    assert found == {WEIGHT: ("BF16", (4, 8), 32), "norm": ("F32", (3,), 3)}


def test_integers_that_are_no_weights_are_let_pass(tmp_path: Path) -> None:
    others = {
        "h.0.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8),
        "h.0.attn.masked_bias": torch.ones(1, 2, dtype=torch.int32),
        "embeddings.position_ids": torch.ones(1, 8, dtype=torch.int64),
        "norm.num_batches_tracked": torch.tensor(1),
    }
    assert len(require_loadable(model(tmp_path, {WEIGHT: torch.ones(4, 8), **others}), CAUSAL)) == 5


@pytest.mark.parametrize(
    "config",
    [
        {"quantization_config": {"quant_method": "gptq"}},
        {"compression_config": {"format": "int-quantized"}},
        {"text_config": {"quantization_config": {"bits": 4}}},
        {"quantization": {"group_size": 64, "bits": 4}},
    ],
)
def test_a_configuration_that_says_quantised_is_believed(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="are quantised"):
        require_loadable(model(tmp_path, **config), CAUSAL)


STORED = {
    "fp8": {WEIGHT: torch.ones(4, 8).to(torch.float8_e4m3fn)},
    "fp8 of one dimension": {"scale": torch.ones(8).to(torch.float8_e5m2)},
    "int8": {WEIGHT: torch.ones(4, 8, dtype=torch.int8)},
    "packed": {"model.layers.0.mlp.down_proj.qweight": torch.ones(4, 8, dtype=torch.int32)},
    "packed experts": {"model.layers.0.mlp.experts.down_proj_blocks": torch.ones(2, 4, 8, dtype=torch.uint8)},
    "scales beside": {WEIGHT: torch.ones(4, 8), f"{WEIGHT}_scale": torch.ones(1)},
    "inverse scales beside": {WEIGHT: torch.ones(4, 8), f"{WEIGHT}_scale_inv": torch.ones(1)},
}


@pytest.mark.parametrize("kind", STORED)
def test_tensors_that_are_quantised_are_seen_whatever_the_configuration_says(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=r"are quantised \(.* is stored as"):
        require_loadable(model(tmp_path, STORED[kind]), CAUSAL)


def test_double_precision_is_full_precision(tmp_path: Path) -> None:
    (tensor,) = require_loadable(model(tmp_path, {WEIGHT: torch.ones(4, 8, dtype=torch.float64)}), CAUSAL)
    assert tensor.dtype == "F64"


def test_a_file_beside_that_says_quantised_is_believed(tmp_path: Path) -> None:
    model(tmp_path)
    (tmp_path / "hf_quant_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"quantised \(hf_quant_config\.json says so\)"):
        require_loadable(tmp_path, CAUSAL)


ODD = [
    ({"architectures": 5}, "architectures = '5'"),
    ({"architectures": [5]}, "architectures"),
    ({"architectures": ["BertModel"]}, "not a causal language model but BertModel"),
    ({"is_encoder_decoder": True, "architectures": []}, "but an encoder-decoder"),
    ({"quantization_config": "x"}, "quantization_config = 'x'"),
    ({"num_hidden_layers": 10**7}, "num_hidden_layers = 10000000, and the weights have 1 tensors"),
    ({"num_hidden_layers": 10**400}, "num_hidden_layers = 1000"),
    ({"first_k_dense_replace": 10**10}, "first_k_dense_replace"),
    ({"attention_types": [[["global", "local"], 10**9]]}, "attention_types = '1000000000'"),
    ({"id2label": {str(n): "x" for n in range(30_000)}}, "more values"),
    ({"num_hidden_layers": float("inf")}, "num_hidden_layers = inf"),
    ({"num_hidden_layers": float("nan")}, "num_hidden_layers = nan"),
    ({"vision_config": {"depth": 10**6}}, "depth"),
    ({"text_config": {"num_local_experts": 10**6}}, "num_local_experts"),
    ({"transformers_weights": "other.safetensors"}, "names other weights or code"),
    ({"_attn_implementation": "somebody/kernel"}, "names other weights or code"),
    ({"text_config": {"experts_implementation": "somebody/kernel@main"}}, "names other weights or code"),
]


@pytest.mark.parametrize(("config", "message"), ODD, ids=[str(c)[:40] for c, _ in ODD])
def test_a_configuration_that_no_model_has_is_refused(tmp_path: Path, config: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        require_loadable(model(tmp_path, **config), CAUSAL)


def test_numbers_of_real_models_are_let_pass(tmp_path: Path) -> None:
    large = {"max_position_embeddings": 10**7, "vocab_size": 262_208, "rope_theta": 10**9, "num_attention_heads": 128}
    require_loadable(model(tmp_path, **large, max_window_layers=80, _attn_implementation="sdpa"), CAUSAL)
    further = {"eos_token_id": [1, 255_001], "attention_types": [[["global", "local"], 12]], "_step": 500_000}
    require_loadable(model(tmp_path, **further), CAUSAL)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (5).to_bytes(8, "little") + b"[1,2]",
        (9).to_bytes(8, "little") + b'{"a": 5 }',
        b"\x05" + b"\0" * 7,
        *(
            len(header).to_bytes(8, "little") + header
            for header in (
                b'{"a":{"dtype":"F32","shape":[1e999]}}',
                b'{"a":{"dtype":"F32","shape":[-1]}}',
                b'{"a":{"dtype":"F32","shape":[' + b"9" * 4000 + b"]}}",
                b'{"a":{"dtype":"F32","shape":["1"]}}',
                b"[" * 200_000,
            )
        ),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="is no safetensors file"):
        stored_tensors(tmp_path)


def test_an_adapter_beside_the_weights_is_refused(tmp_path: Path) -> None:
    (model(tmp_path) / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="holds an adapter"):
        require_loadable(tmp_path, CAUSAL)
