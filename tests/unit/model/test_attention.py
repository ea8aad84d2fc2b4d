"""Grouped attention against transformers' own: the same states and gradients, and no keys that are kept twice."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from kbsync.model.attention import GROUPED, group_queries, grouped
from kbsync.model.decoder import discover
from kbsync.model.load import load
from kbsync.model.suffix import prepare_suffixes
from tests.support.families import FAMILIES, random_model
from tests.support.random_models import saved

SHARED = ("llama", "mistral", "qwen2", "qwen3", "gemma3", "olmo2")
ROWS = [([3, 1, 4, 1, 5, 9, 2, 6], 5), ([2, 7, 1, 8], 1), ([1, 6, 1, 8, 0, 3], 4)]
"""Prefixes and suffixes of several lengths, so that there are masks."""


@pytest.mark.slow
def test_serves_the_families_whose_heads_share_keys_and_no_other():
    assert {f for f in FAMILIES if random_model(f).config._attn_implementation == GROUPED} == set(SHARED)


@pytest.mark.parametrize("family", SHARED)
def test_gives_the_states_and_gradients_of_transformers_own(family):
    model = random_model(family, torch.float64)
    found = states_and_slope(model)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(found, states_and_slope(model), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", SHARED)
@pytest.mark.parametrize("padded", [False, True])
def test_gives_the_logits_of_transformers_own(family, padded):
    model = random_model(family, torch.float64)
    ids, mask = torch.randint(3, 200, (2, 9), generator=torch.Generator().manual_seed(0)), torch.ones(2, 9)
    mask[0, :4] = 0.0 if padded else 1.0
    found = model(input_ids=ids, attention_mask=mask).logits
    model.set_attn_implementation("sdpa")
    wanted = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(found[:, 4:], wanted[:, 4:], rtol=1e-10, atol=1e-12)


def test_a_loaded_model_uses_it(tmp_path):
    model = load(str(saved("gemma3", tmp_path / "model")), cache_dir=tmp_path / "cache", device="cpu").model
    assert model.config._attn_implementation == GROUPED
    assert "grouped" not in (tmp_path / "model" / "config.json").read_text()


def test_leaves_a_model_with_another_attention_alone():
    model = random_model("llama")
    model.set_attn_implementation("eager")
    group_queries(model)
    assert model.config._attn_implementation == "eager"


def test_what_wants_more_than_a_mask_and_a_scale_goes_transformers_way():
    module = random_model("llama").model.layers[0].self_attn
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, heads, 5, 8, generator=draw) for heads in (4, 2, 2))
    mask, bias = torch.ones(2, 1, 5, 5, dtype=torch.bool).tril(), torch.randn(2, 4, 5, 5, generator=draw)
    found, plain = (grouped(module, query, key, value, mask, position_bias=b)[0] for b in (bias, None))
    assert torch.equal(found, sdpa_attention_forward(module, query, key, value, mask, position_bias=bias)[0])
    assert not torch.allclose(found, plain)
    with pytest.raises(ValueError, match="softcap"):
        grouped(module, query, key, value, mask, softcap=5.0)


def test_a_search_keeps_no_copies_of_the_keys():
    """What autograd keeps of a pass: with transformers' own, the keys and values once more for every query head."""
    model = random_model("llama")
    few = kept_bytes(model)
    model.set_attn_implementation("sdpa")
    assert few < 0.9 * kept_bytes(model)


def states_and_slope(model) -> tuple[torch.Tensor, torch.Tensor]:
    suffixes = prepare_suffixes(discover(model), ROWS, 1)
    hidden = suffixes.hidden.clone().requires_grad_()
    states = suffixes.run(hidden)
    real = torch.cat([states[i, : len(ids) - lookup] for i, (ids, lookup) in enumerate(ROWS)])
    weights = torch.linspace(-1, 1, real.numel(), dtype=real.dtype).view_as(real)
    (slope,) = torch.autograd.grad((real * weights).sum(), hidden)
    return real.detach(), slope


def kept_bytes(model) -> int:
    model.requires_grad_(False)
    suffixes = prepare_suffixes(discover(model), [(list(range(3, 60)), 55)] * 4, 1)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        suffixes.run(suffixes.hidden.clone().requires_grad_())
    return sum(kept.values())
