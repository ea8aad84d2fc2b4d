"""Linear relations against a plain transcription of the paper, in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Gemma3ForCausalLM

from kbsync.domain.errors import ModelError
from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.relations.few_shot import Pair, asked, first_token, shown
from kbsync.editing.relations.linear import decoded, estimate
from kbsync.editing.relations.states import read_states, said_with
from kbsync.model.decoder import Decoder, discover
from tests.support.random_models import ARCHITECTURES, gemma3_config, random_model

TEMPLATE = "The river of {} is called"
EXAMPLES = [Pair("stone", "iron"), Pair("the valley", "sea"), Pair("carbon", "steel")]


def double(architecture: str) -> tuple[Decoder, Any]:
    """A random model whose sliding window, if it has one, takes whole prompts with their examples."""
    model, tokenizer = random_model(architecture)
    if architecture == "gemma3":
        config = gemma3_config(len(tokenizer))
        config.sliding_window = 512
        torch.manual_seed(0)
        model = Gemma3ForCausalLM(config)
        nn.Module.eval(model).requires_grad_(False)
    return discover(copy.deepcopy(model).double()), tokenizer


def plain(decoder: Decoder, ids: tuple[int, ...], place: int, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """s, o and ∂o/∂s of one prompt: the whole prompt is run with s put in, and torch differentiates."""
    tokens = torch.tensor([ids])

    def run(state: Tensor | None) -> tuple[Tensor, Tensor]:
        kept = {}

        def put(_module: Any, _args: Any, output: Any) -> Any:
            hidden = output if isinstance(output, Tensor) else output[0]
            if state is not None:
                hidden = torch.cat([hidden[:, :place], state[None, None], hidden[:, place + 1 :]], dim=1)
            kept["s"] = hidden[0, place]
            return hidden if isinstance(output, Tensor) else (hidden, *output[1:])

        def end(_module: Any, args: Any) -> None:
            kept["o"] = args[0][0, -1]

        handles = [
            decoder.layers[layer].module.register_forward_hook(put),
            decoder.final_norm.register_forward_pre_hook(end),
        ]
        decoder.model(input_ids=tokens, use_cache=False)
        for handle in handles:
            handle.remove()
        return kept["s"], kept["o"]

    s, o = run(None)
    differentiate: Any = torch.autograd.functional.jacobian
    jacobian = differentiate(lambda state: run(state)[1], s.detach())
    return s.detach(), o.detach(), jacobian


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weight_and_bias_are_the_papers(architecture: str) -> None:
    decoder, tokenizer = double(architecture)
    layers = (0, 1) if architecture == "gpt2" else (1,)
    found = estimate(decoder, tokenizer, TEMPLATE, EXAMPLES, layers)
    for layer in layers:
        weights, biases = [], []
        for pair in EXAMPLES:
            prompt = asked(tokenizer, TEMPLATE, [e for e in EXAMPLES if e != pair], pair.subject)
            s, o, jacobian = plain(decoder, prompt.ids, prompt.lookup, layer)
            weights.append(jacobian)
            biases.append(o - jacobian @ s)
        weight, bias = torch.stack(weights).mean(0), torch.stack(biases).mean(0)
        assert (found[layer].weight - weight).abs().max() <= 1e-5 * weight.abs().max()
        assert (found[layer].bias - bias).abs().max() <= 1e-5 * bias.abs().max()


def test_an_object_state_is_decoded_as_the_model_does() -> None:
    decoder, tokenizer = double("llama")
    prompts = [asked(tokenizer, TEMPLATE, EXAMPLES, name) for name in ("São Paulo", "a bridge")]
    states = read_states(decoder, prompts, [1])
    for row, prompt in enumerate(prompts):
        logits = decoder.model(input_ids=torch.tensor([prompt.ids])).logits[0, -1]
        assert torch.allclose(decoded(decoder, states.objects[row : row + 1])[0], logits)
        assert states.said[row] == logits.argmax()


def test_the_change_of_a_state_moves_the_object_as_the_map_says() -> None:
    decoder, tokenizer = double("llama")
    relation = estimate(decoder, tokenizer, TEMPLATE, EXAMPLES, [1])[1]
    wanted = torch.randn(2, decoder.hidden_size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reached = relation.changes(wanted, decoder.hidden_size) @ relation.weight.T
    assert torch.allclose(reached, wanted, atol=1e-6)
    left, values, right = torch.linalg.svd(relation.weight)
    plainly = wanted @ (right[:4].T @ torch.diag(1 / values[:4]) @ left[:, :4].T).T
    assert torch.allclose(relation.changes(wanted, 4), plainly, atol=1e-8)
    assert torch.allclose(relation.objects(wanted, 2.5), 2.5 * wanted @ relation.weight.T + relation.bias)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_another_subjects_state_is_answered_as_that_subject(architecture: str) -> None:
    decoder, tokenizer = double(architecture)
    prompts = [asked(tokenizer, "{} is", [], name) for name in ("iron", "stone", "carbon")]
    states = read_states(decoder, prompts, [1])
    assert torch.equal(said_with(decoder, prompts, 1, torch.zeros(3, decoder.hidden_size)), states.said)
    s = states.subjects[1]
    last = said_with(decoder, prompts, 1, s.roll(1, 0) - s)
    assert last.shape == (3,)


def test_what_can_not_be_read_is_refused() -> None:
    decoder, tokenizer = double("llama")
    with pytest.raises(ModelError, match="above the last one"):
        estimate(decoder, tokenizer, TEMPLATE, EXAMPLES, [len(decoder.layers) - 1])
    with pytest.raises(Unlocatable, match="two examples"):
        estimate(decoder, tokenizer, TEMPLATE, EXAMPLES[:1], [0])
    with pytest.raises(Unlocatable, match="braces"):
        shown(TEMPLATE, [Pair("{}", "x")])


def test_examples_stand_on_lines_of_their_own() -> None:
    assert shown("{} is", [Pair("A", "b"), Pair("C", "d")]) == "A is b\nC is d\n{} is"
    _, tokenizer = double("gpt2")
    assert tokenizer.decode([first_token(tokenizer, "{} is", Pair("iron", "steel"))]).strip() != ""
