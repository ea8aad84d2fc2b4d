"""Weights rounded as serving engines store them."""

from __future__ import annotations

import gguf
import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.domain.served_form import BLOCKS
from kbsync.model import rounding
from kbsync.model.rounding import in_place, rounded, rounded_weights
from tests.support.families import random_model, same_weights, weights


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_those_of_a_gguf_file(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "_ROWS", 4)
    values, type = draw(10, 64), gguf.GGMLQuantizationType[kind.upper()]
    expected = gguf.quants.dequantize(gguf.quants.quantize(values.numpy(), type), type)
    made = rounded(values, kind)
    assert torch.equal(made, torch.from_numpy(expected)) and not torch.equal(made, values)
    assert torch.equal(rounded(values.double(), kind), made.double())


def test_finer_types_lose_less() -> None:
    values = draw(32, 64)
    losses = [float((rounded(values, kind) - values).norm()) for kind in ("bfloat16", *BLOCKS)]
    assert losses == sorted(losses)


def test_a_float_type_rounds_every_parameter() -> None:
    model = random_model("llama")
    made = rounded_weights(model, "bfloat16")
    assert made.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(made[name], p.bfloat16().float()) for name, p in model.named_parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_a_block_type_rounds_matrices_as_llama_quantize_does(*, tied: bool) -> None:
    model = random_model("llama", tied=tied)
    made, before = rounded_weights(model, "q4_0"), weights(model)
    assert not any("norm" in name for name in made), "norms stay"
    assert not any("down_proj" in name for name in made), "rows of 48 are no whole blocks"
    stored = dict(model.named_parameters())
    for name, values in made.items():
        is_output = name == ("model.embed_tokens.weight" if tied else "lm_head.weight")
        assert torch.equal(values, rounded(stored[name].detach(), "q8_0" if is_output else "q4_0")), name
    assert "model.embed_tokens.weight" in made and same_weights(model, before)


def test_a_matrix_that_is_stored_the_other_way_round_is_rounded_along_its_inputs() -> None:
    model = random_model("gpt2")
    name = "transformer.h.0.mlp.c_fc.weight"
    stored = dict(model.named_parameters())[name].detach()
    made = rounded_weights(model, "q4_0")
    assert torch.equal(made[name], rounded(stored.T.contiguous(), "q4_0").T)
    assert "transformer.wpe.weight" not in made, "positions stay"


def test_the_models_own_weights_come_back() -> None:
    model, ids = random_model("llama"), torch.tensor([[5, 6, 7]])
    before, said = weights(model), model(ids).logits
    with pytest.raises(RuntimeError, match="stop"), in_place(model, rounded_weights(model, "q4_0")):
        assert not torch.equal(model(ids).logits, said)
        raise RuntimeError("stop")
    assert same_weights(model, before) and torch.equal(model(ids).logits, said)


def test_blocks_without_the_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="needs the package gguf"):
        rounded_weights(random_model("llama"), "q4_0")
    rounded_weights(random_model("llama"), "bfloat16")
