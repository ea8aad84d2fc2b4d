"""Causal tracing: the fast code against whole passes with plain hooks, and a model whose answer is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.tracing.causal_trace import (
    TracePrompt,
    TraceSettings,
    default_window,
    embedding_std,
    knows,
    likeliest_answer,
    max_prompt_tokens,
    open_prompt,
    trace_fact,
    trace_prompt,
)
from kbsync.editing.tracing.effects import Role, State
from kbsync.model.decoder import Decoder, discover, first_tensor
from kbsync.model.hooks import frozen
from tests.support.families import FAMILIES, OTHERS, random_model, same_weights, tokenizer, weights

ASKED = ("The head of government of {} is", "Norway", "Anna Berg")
SEED, SIGMA = 5, 0.4


def asked(template: str = ASKED[0], subject: str = ASKED[1], answer: str = ASKED[2]) -> TracePrompt:
    return trace_prompt(tokenizer(), template, subject, answer, 90)


Restored = tuple[torch.nn.Module, int, Tensor]
"""A module, a position, and the module's output there without noise."""


def whole_pass(model: Any, decoder: Decoder, q: TracePrompt, noise: Tensor, restore: Sequence[Restored] = ()) -> float:
    """p(answer) by one pass over the whole prompt."""

    def corrupt(_m: Any, _args: Any, out: Tensor) -> Tensor:
        moved = out.clone()
        moved[0, q.first : q.last + 1] += noise
        return moved

    def put_back(place: int, clean: Tensor) -> Any:
        def hook(_m: Any, _args: Any, out: Any) -> Any:
            plain = first_tensor(out)
            patched = plain.clone()
            patched[0, place] = clean
            return patched if out is plain else (patched, *out[1:])

        return hook

    with ExitStack() as stack, torch.no_grad():
        stack.callback(decoder.embedding.register_forward_hook(corrupt).remove)
        for module, place, clean in restore:
            stack.callback(module.register_forward_hook(put_back(place, clean)).remove)
        logits = model(input_ids=torch.tensor([q.ids]), use_cache=False).logits[0, -1]
    return float(logits.softmax(-1)[q.answer])


def clean_outputs(model: Any, decoder: Decoder, q: TracePrompt) -> dict[torch.nn.Module, Tensor]:
    """Outputs of every layer, MLP and attention without noise, (length, d)."""
    seen: dict[torch.nn.Module, Tensor] = {}
    with ExitStack() as stack, torch.no_grad():
        for layer in decoder.layers:
            for module in (layer.module, layer.mlp, layer.attention):
                stack.callback(
                    module.register_forward_hook(lambda m, _a, o: seen.update({m: first_tensor(o)[0]})).remove
                )
        model(input_ids=torch.tensor([q.ids]), use_cache=False)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_effects_are_those_of_whole_passes(family: str) -> None:
    model = random_model(family, torch.float64)
    decoder, q = discover(model), asked()
    settings = TraceSettings(samples=2, window=2)
    before = weights(model)
    with frozen(model):
        got = trace_fact(decoder, q, SIGMA, settings, SEED)
    assert same_weights(model, before)
    shape = (2, q.last - q.first + 1, decoder.hidden_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED)).double() * 3.0 * SIGMA
    clean = clean_outputs(model, decoder, q)
    corrupted = sum(whole_pass(model, decoder, q, n) for n in noise) / 2
    assert got.corrupted == pytest.approx(corrupted, rel=1e-5)
    assert got.clean == pytest.approx(whole_pass(model, decoder, q, 0 * noise[0]), rel=1e-5)
    for index in (0, 2, 3):
        near = decoder.layers[max(0, index - 1) : index + 1]
        for state in State:
            modules = {
                State.RESIDUAL: [decoder.layers[index].module],
                State.MLP: [x.mlp for x in near],
                State.ATTENTION: [x.attention for x in near],
            }[state]
            for place in (q.first, q.last, len(q.ids) - 1):
                restore = [(m, place, clean[m][place]) for m in modules]
                expected = sum(whole_pass(model, decoder, q, n, restore) for n in noise) / 2 - corrupted
                assert got.effects[state][index][place - q.first] == pytest.approx(expected, rel=2e-3, abs=1e-8)


def test_a_model_whose_answer_is_known() -> None:
    """Only layer 2 moves anything between tokens, and only layer 1's MLP writes: so before layer 2 all depends on the
    subject's one token, afterwards on the last token alone, and only that MLP and that attention matter."""
    model = random_model("llama", torch.float64)
    for index, layer in enumerate(model.model.layers):
        if index != 2:
            layer.self_attn.o_proj.weight.data.zero_()
        if index != 1:
            layer.mlp.down_proj.weight.data.zero_()
    decoder = discover(model)
    q = asked(subject="x", answer="Oslo")
    assert q.first == q.last
    with frozen(model):
        got = trace_fact(decoder, q, SIGMA, TraceSettings(samples=3), SEED)
    total = got.clean - got.corrupted
    assert abs(total) > 1e-6
    residual, end = got.effects[State.RESIDUAL], len(q.ids) - 1 - q.first
    for layer in range(4):
        wanted = [0.0] * (end + 1)
        wanted[0 if layer < 2 else end] = total
        assert residual[layer] == pytest.approx(wanted, abs=1e-12)
    for layer in (0, 2, 3):
        assert got.effects[State.MLP][layer] == pytest.approx([0.0] * (end + 1), abs=1e-12)
    assert abs(got.effects[State.MLP][1][0]) > 1e-8
    assert got.effects[State.MLP][1][1:] == pytest.approx([0.0] * end, abs=1e-12)
    for layer in (0, 1, 3):
        assert got.effects[State.ATTENTION][layer] == pytest.approx([0.0] * (end + 1), abs=1e-12)
    assert got.effects[State.ATTENTION][2][end] == pytest.approx(total)


def test_chunks_of_noise_give_what_one_batch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("gpt2", torch.float64)
    decoder, q = discover(model), asked()
    with frozen(model):
        whole = trace_fact(decoder, q, SIGMA, TraceSettings(samples=5, window=3), SEED)
        monkeypatch.setattr("kbsync.editing.tracing.causal_trace.BATCH_TOKENS", 2 * (len(q.ids) - q.first) ** 2)
        parts = trace_fact(decoder, q, SIGMA, TraceSettings(samples=5, window=3), SEED)
    for state in State:
        torch.testing.assert_close(torch.tensor(whole.effects[state]), torch.tensor(parts.effects[state]))


def test_subject_and_answer_are_found_in_the_prompt() -> None:
    q = asked("{} is led by", "Acme Inc.", "Paris Rome")
    assert q.first == 1 and tokenizer().decode(list(q.ids[1 : q.last + 1])) == "Acme Inc."
    assert str(tokenizer().decode([q.answer])) in " Paris Rome"
    with pytest.raises(Unlocatable, match="empty"):
        asked(subject=" ")
    with pytest.raises(Unlocatable, match="not exactly one place"):
        asked(template="The capital is")
    with pytest.raises(Unlocatable, match="tokens long"):
        trace_prompt(tokenizer(), ASKED[0], "x" * 200, "Oslo", 90)


def test_what_the_model_says_it_knows() -> None:
    model = random_model("llama")
    decoder, q = discover(model), asked()
    with torch.no_grad():
        best = int(model(input_ids=torch.tensor([q.ids])).logits[0, -1].argmax())
    assert likeliest_answer(decoder, q.ids) == best
    assert knows(decoder, replace(q, answer=best))
    assert not knows(decoder, replace(q, answer=best + 1))


def test_the_noise_is_measured_against_the_subjects_embeddings() -> None:
    model = random_model("gemma3")
    decoder, q = discover(model), asked()
    ids = torch.tensor([q.ids[q.first : q.last + 1]])
    with torch.no_grad():
        wanted = float(model.get_input_embeddings()(ids).std())
    assert embedding_std(decoder, [q]) == pytest.approx(wanted, rel=1e-5)


def test_a_prompt_may_have_an_answer_that_is_not_known_yet() -> None:
    assert replace(open_prompt(tokenizer(), *ASKED[:2], 90), answer=asked().answer) == asked()


def test_windows_and_lengths() -> None:
    assert [default_window(layers) for layers in (1, 4, 12, 48)] == [1, 1, 2, 10]
    assert max_prompt_tokens(discover(random_model("llama"))) == 95
    assert max_prompt_tokens(discover(random_model("gemma3"))) == 44, "half of a sliding window of 90"


def test_a_brief_trace_is_a_part_of_the_whole_one() -> None:
    decoder = discover(random_model("llama"))
    prompt = trace_prompt(tokenizer(), "The capital of {} is", "France", "Paris", 90)
    with frozen(decoder.model):
        whole = trace_fact(decoder, prompt, 1.0, TraceSettings(samples=2, window=2), 5)
        brief = trace_fact(decoder, prompt, 1.0, TraceSettings(samples=2, window=2), 5, brief=True)
    (place,) = (n for n, role in enumerate(whole.roles) if role is Role.LAST_SUBJECT)
    assert brief.roles == (Role.LAST_SUBJECT,)
    assert (brief.clean, brief.corrupted) == pytest.approx((whole.clean, whole.corrupted))
    for one, all_places in zip(brief.effects[State.MLP], whole.effects[State.MLP], strict=True):
        assert one == pytest.approx([all_places[place]], abs=1e-6)
    assert set(brief.effects) == {State.MLP}
