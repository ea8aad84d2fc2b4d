"""Causal tracing: the fast code against whole passes with plain hooks, and a model whose answer is known beforehand."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.tracing.causal_trace import TraceSettings, embedding_std, knows, trace_fact, trace_prompt
from kbsync.editing.tracing.effects import FactTrace, Role, State, average, roles, suggest, total_effect
from kbsync.model.decoder import discover, first_tensor
from kbsync.model.hooks import frozen
from tests.support.families import FAMILIES, random_model, same_weights, tokenizer, weights

ASKED = ("The head of government of {} is", "Norway", "Anna Berg")
SEED, SIGMA = 5, 0.4


def asked(template=ASKED[0], subject=ASKED[1], answer=ASKED[2]):
    return trace_prompt(tokenizer(), template, subject, answer, 90)


def whole_pass(model, decoder, q, noise, restore=()):
    """p(answer) by one pass over the whole prompt; ``restore``: (module, position, its clean output)."""

    def corrupt(_m, _args, out):
        moved = out.clone()
        moved[0, q.first : q.last + 1] += noise
        return moved

    def put_back(place, clean):
        def hook(_m, _args, out):
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


def clean_outputs(model, decoder, q):
    seen = {}
    with ExitStack() as stack, torch.no_grad():
        for layer in decoder.layers:
            for module in (layer.module, layer.mlp, layer.attention):
                stack.callback(
                    module.register_forward_hook(lambda m, _a, o: seen.update({m: first_tensor(o)[0]})).remove
                )
        model(input_ids=torch.tensor([q.ids]), use_cache=False)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_effects_are_those_of_whole_passes(family):
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
                wanted = sum(whole_pass(model, decoder, q, n, restore) for n in noise) / 2 - corrupted
                assert got.effects[state][index][place - q.first] == pytest.approx(wanted, rel=2e-3, abs=1e-8)


def test_a_model_whose_answer_is_known():
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


def test_chunks_of_noise_give_what_one_batch_gives(monkeypatch):
    model = random_model("gpt2", torch.float64)
    decoder, q = discover(model), asked()
    with frozen(model):
        whole = trace_fact(decoder, q, SIGMA, TraceSettings(samples=5, window=3), SEED)
        monkeypatch.setattr("kbsync.editing.tracing.causal_trace.BATCH_TOKENS", 2 * (len(q.ids) - q.first) ** 2)
        parts = trace_fact(decoder, q, SIGMA, TraceSettings(samples=5, window=3), SEED)
    for state in State:
        torch.testing.assert_close(torch.tensor(whole.effects[state]), torch.tensor(parts.effects[state]))


def test_a_question_is_found_in_its_prompt():
    q = asked("{} is led by", "Acme Inc.", "Paris Rome")
    assert q.first == 1 and tokenizer().decode(q.ids[1 : q.last + 1]) == "Acme Inc."
    assert tokenizer().decode([q.answer]) in " Paris Rome"
    with pytest.raises(Unlocatable, match="empty"):
        asked(subject=" ")
    with pytest.raises(Unlocatable, match="not exactly one place"):
        asked(template="The capital is")
    with pytest.raises(Unlocatable, match="tokens long"):
        trace_prompt(tokenizer(), ASKED[0], "x" * 200, "Oslo", 90)


def test_what_the_model_says_it_knows():
    model = random_model("llama")
    decoder, q = discover(model), asked()
    with torch.no_grad():
        best = int(model(input_ids=torch.tensor([q.ids])).logits[0, -1].argmax())
    assert knows(decoder, type(q)(q.ids, q.first, q.last, best))
    assert not knows(decoder, type(q)(q.ids, q.first, q.last, best + 1))


def test_the_noise_is_measured_against_the_subjects_embeddings():
    model = random_model("gemma3")
    decoder, q = discover(model), asked()
    ids = torch.tensor([q.ids[q.first : q.last + 1]])
    with torch.no_grad():
        wanted = float(model.get_input_embeddings()(ids).std())
    assert embedding_std(decoder, [q]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("first", "last", "length", "wanted"),
    [
        (1, 3, 7, "FMLAXE"),
        (2, 2, 5, "LAE"),
        (0, 1, 3, "FLE"),
        (1, 2, 3, "FL"),
    ],
)
def test_every_token_has_its_role(first, last, length, wanted):
    letters = dict(zip("FMLAXE", Role, strict=True))
    assert roles(first, last, length) == tuple(letters[x] for x in wanted)


def trace(effect: float, where: tuple[Role, ...]) -> FactTrace:
    values = [[effect * (i + 1) for i in range(len(where))]]
    return FactTrace(0.5 + effect, 0.25, where, dict.fromkeys(State, values))


def test_effects_are_averaged_over_a_facts_positions_and_then_over_facts():
    two = trace(0.1, (Role.LAST_SUBJECT, Role.FURTHER, Role.FURTHER))
    one = trace(0.3, (Role.LAST_SUBJECT,))
    (layer,) = average([two, one], State.MLP)
    assert layer[Role.LAST_SUBJECT].value == pytest.approx(0.2) and layer[Role.LAST_SUBJECT].facts == 2
    assert layer[Role.LAST_SUBJECT].half_width == pytest.approx(1.96 * 0.1)
    assert layer[Role.FURTHER].value == pytest.approx(0.25) and layer[Role.FURTHER].half_width == 0
    assert Role.LAST not in layer
    assert total_effect([two, one]).value == pytest.approx(0.45)
    assert average([], State.MLP) == []


@pytest.mark.parametrize(
    ("profile", "wanted"),
    [
        ([0.0, 0.1, 0.3, 0.4, 0.2, 0.1], (2, 3, 4)),
        ([0.4, 0.1, 0.3], (0,)),
        ([0.1, 0.2, 0.2], (0, 1, 2)),
        ([-0.1, 0.0], ()),
        ([], ()),
    ],
)
def test_layers_are_suggested_around_the_peak(profile, wanted):
    assert suggest(profile) == wanted
