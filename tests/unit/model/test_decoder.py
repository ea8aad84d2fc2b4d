"""Discovery finds the same parts that each family's own code uses, and refuses what must not be edited."""

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GraniteMoeSharedConfig,
    Llama4TextConfig,
    LlamaConfig,
    MixtralConfig,
    OlmoeConfig,
    OPTConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import discover
from tests.support.families import CONV1D, FAMILIES, LAYERS, OTHERS, SANDWICH, D, M, random_model

ROUTED = {"moe_intermediate_size": M, "shared_expert_intermediate_size": M, "num_experts": 2, "num_experts_per_tok": 1}
IDS = torch.tensor([[0, 17, 300, 41, 9]])
DOWN = {
    "gpt2": "transformer.h.{}.mlp.c_proj.weight",
    "gptj": "transformer.h.{}.mlp.fc_out.weight",
    "gpt-neox": "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight",
    "phi": "model.layers.{}.mlp.fc2.weight",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_finds_the_down_projection_of_every_layer(family):
    decoder = discover(random_model(family))
    expected = DOWN.get(family, "model.layers.{}.mlp.down_proj.weight")
    assert [layer.down.name for layer in decoder.layers] == [expected.format(i) for i in range(LAYERS)]
    assert {tuple(layer.down.weight.shape) for layer in decoder.layers} == {(D, M)}
    assert {layer.down.transposed for layer in decoder.layers} == {family in CONV1D}
    assert decoder.hidden_size == D


@pytest.mark.parametrize("family", FAMILIES)
def test_only_sandwich_models_have_a_norm_after_the_mlp(family):
    model = random_model(family)
    names = {id(m): name for name, m in model.named_modules()}
    norms = [layer.post_mlp_norm for layer in discover(model).layers]
    if family in SANDWICH:
        wanted = [f"model.layers.{i}.post_feedforward_layernorm" for i in range(LAYERS)]
        assert [names[id(norm)] for norm in norms] == wanted
    else:
        assert norms == [None] * LAYERS


@pytest.mark.parametrize("family", FAMILIES)
def test_embedding_attention_and_head_are_the_models_own(family):
    model = random_model(family)
    decoder = discover(model)
    assert decoder.embedding is model.get_input_embeddings()
    assert decoder.head is model.get_output_embeddings()
    assert all("Attention" in type(layer.attention).__name__ for layer in decoder.layers)
    with torch.no_grad():
        out = model(input_ids=IDS, output_hidden_states=True)
    torch.testing.assert_close(decoder.logits(out.hidden_states[-1]), out.logits)


def test_bfloat16_is_found_as_well_and_nothing_is_left_hooked():
    model = random_model("llama", torch.bfloat16).train()
    decoder = discover(model)
    assert decoder.dtype == torch.bfloat16
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_layers_to_edit_come_in_ascending_order():
    decoder = discover(random_model("llama"))
    assert [layer.index for layer in decoder.edited_layers((2, 0))] == [0, 2]


@pytest.mark.parametrize("wrong", [(), (1, 1), (-1,), (LAYERS,)])
def test_layers_that_are_not_there_are_refused(wrong):
    with pytest.raises(ModelError, match="layers 0 to 3"):
        discover(random_model("llama")).edited_layers(wrong)


EXPERTS = {
    MixtralConfig: ({"intermediate_size": M, "num_local_experts": 2}, "self_attn.o_proj"),
    OlmoeConfig: ({"intermediate_size": M, "num_experts": 2, "num_experts_per_tok": 1}, "self_attn.o_proj"),
    Qwen2MoeConfig: (ROUTED, "mlp.shared_expert.down_proj"),
    Qwen3MoeConfig: ({**ROUTED, "head_dim": 8}, "self_attn.o_proj"),
    Llama4TextConfig: ({"intermediate_size": M, "num_local_experts": 2}, "feed_forward.shared_expert.down_proj"),
    GraniteMoeSharedConfig: ({"shared_intermediate_size": M, "num_local_experts": 2}, "shared_mlp.output_linear"),
}


@pytest.mark.parametrize("kind", EXPERTS, ids=lambda kind: kind.__name__)
def test_in_a_mixture_of_experts_the_map_that_every_token_passes_is_edited(kind):
    shape, expected = EXPERTS[kind]
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 1}
    config = kind(vocab_size=50, hidden_size=D, num_hidden_layers=2, **heads, **shape)
    decoder = discover(AutoModelForCausalLM.from_config(config))
    assert [layer.down.name for layer in decoder.layers] == [f"model.layers.{i}.{expected}.weight" for i in range(2)]
    assert all(layer.down.module in set(layer.module.modules()) for layer in decoder.layers)


def test_dense_layers_among_sparse_ones_are_edited_in_their_mlp():
    names = [layer.down.name for layer in discover(random_model("deepseek-v3")).layers]
    assert names[1] == "model.layers.1.mlp.down_proj.weight"
    assert names[2] == "model.layers.2.mlp.shared_experts.down_proj.weight"


def test_an_expert_that_happens_to_get_every_token_is_not_taken_for_a_shared_one():
    class Routed(nn.Module):
        """As mixtures were written before their weights were stacked; one expert gets everything."""

        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList(random_model("llama").model.layers[0].mlp for _ in range(2))

        def forward(self, hidden):
            return self.experts[1](hidden)

    model = random_model("llama")
    for layer in model.model.layers:
        layer.mlp = Routed()
    assert {layer.down.module for layer in discover(model).layers} == {x.self_attn.o_proj for x in model.model.layers}


def test_a_map_whose_output_reaches_no_token_is_refused():
    model = random_model("llama")
    model.model.layers[1].mlp.register_forward_hook(lambda _m, _a, out: torch.zeros_like(out))
    with pytest.raises(ModelError, match="Layer 1 takes in nothing of what its last linear map puts out"):
        discover(model)


def test_pictures_are_none_of_the_decoders_layers():
    """A wrapper whose layers for pictures are as many as those for text."""
    model = random_model("llama")
    model.model.vision = nn.ModuleList(nn.Linear(D, D) for _ in range(LAYERS))
    assert discover(model).layers[0].module is model.model.layers[0]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_tied_and_untied_heads(family, tied):
    model = random_model(family, tied=tied)
    decoder = discover(model)
    assert (decoder.head_weight is model.get_input_embeddings().weight) is tied
    with torch.no_grad():
        out = model(input_ids=IDS, output_hidden_states=True)
    torch.testing.assert_close(decoder.logits(out.hidden_states[-1]), out.logits)


def test_quantised_models_are_refused():
    model = random_model("llama")
    model.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    with pytest.raises(ModelError, match="quantised"):
        discover(model)


def test_integer_weights_are_refused_by_name():
    class Packed(nn.Linear):
        def forward(self, x):
            return x @ self.weight.to(x.dtype).T

    model = random_model("llama")
    packed = Packed(M, D, bias=False)
    packed.weight = nn.Parameter(torch.ones(D, M, dtype=torch.int8), requires_grad=False)
    model.model.layers[1].mlp.down_proj = packed
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.down_proj\.weight is quantised \(torch\.int8\)"):
        discover(model)


def test_layers_without_an_mlp_module_are_refused():
    config = OPTConfig(
        vocab_size=50, hidden_size=D, ffn_dim=M, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=D
    )
    with pytest.raises(ModelError):
        discover(AutoModelForCausalLM.from_config(config))


def test_logits_that_discovery_can_not_explain_are_refused():
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(vocab_size=50, hidden_size=D, intermediate_size=M, num_hidden_layers=2, num_attention_heads=4)
    )
    handle = model.register_forward_hook(lambda _m, _a, out: out.__class__(logits=out.logits * 2))
    assert discover(model).logit_factor == pytest.approx(2)
    handle.remove()
    model.register_forward_hook(lambda _m, _a, out: out.__class__(logits=out.logits.sinh()))
    with pytest.raises(ModelError, match="logits are not head"):
        discover(model)


def test_conv1d_weights_are_seen_the_right_way_round():
    decoder = discover(random_model("gpt2"))
    down = decoder.layers[0].down
    assert isinstance(down.module, Conv1D)
    x = torch.randn(3, M)
    torch.testing.assert_close(x @ down.weight.T + down.module.bias, down.module(x))
