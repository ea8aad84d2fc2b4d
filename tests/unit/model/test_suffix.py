"""A suffix that is run alone gives what the whole pass gives."""

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import discover
from kbsync.model.hooks import add_to_output, frozen
from kbsync.model.suffix import longest_row, prepare_suffixes, record_calls
from tests.support.families import FAMILIES, HYBRIDS, LAYERS, OTHERS, SANDWICH, D, random_model


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
@pytest.mark.parametrize("first", [0, 2, LAYERS])
def test_the_suffix_alone_gives_what_the_whole_pass_gives(family, first):
    """Rows of different lengths in one batch; one of them has no prefix at all."""
    model = random_model(family, torch.float64)
    decoder = discover(model)
    rows = [((0, 17, 300, 41, 9), 2), ((55, 60, 12), 0), ((0, 1, 2, 3, 4, 5, 6, 7), 5)]
    with frozen(model), torch.no_grad():
        suffixes = prepare_suffixes(decoder, rows, first)
        normed = suffixes.run(suffixes.hidden)
        again = suffixes.select(torch.tensor([0, 2])).run(suffixes.hidden[[0, 2]])
        shorter = suffixes.select(torch.tensor([2, 0]), 2)
        beginnings = shorter.run(shorter.hidden)
        for i, (ids, lookup) in enumerate(rows):
            whole = model(input_ids=torch.tensor([ids])).logits[0, lookup:]
            torch.testing.assert_close(
                decoder.logits(normed[i, : len(ids) - lookup]), whole, rtol=0, atol=1e-5 * float(whole.abs().max())
            )
    # Norms and routers work in float32 in any dtype, and a product of another number of rows may round otherwise: with
    # AVX2 it does, so that what differed in the last bit of float64 differs by some of float32 behind Gemma 2's norms.
    near = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(normed[[0, 2]], again, **near)
    torch.testing.assert_close(normed[[2, 0], :2], beginnings, **near)
    torch.testing.assert_close(normed[0, :3], suffixes.normed[0, :3], **near)


@pytest.mark.parametrize("family", ["llama", *SANDWICH, *OTHERS])
def test_a_change_in_the_suffix_equals_the_change_in_the_whole_pass(family):
    model = random_model(family, torch.float64)
    decoder = discover(model)
    ids, lookup = (0, 17, 300, 41, 9), 2
    shift = torch.randn(1, D, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    down = decoder.layers[1].down.module
    with frozen(model), torch.no_grad():
        suffixes = prepare_suffixes(decoder, [(ids, lookup)], 1)
        assert suffixes.column == (lookup if family in HYBRIDS else 0)
        with add_to_output(down, suffixes.column, shift):
            part = decoder.logits(suffixes.run(suffixes.hidden))[0]
        with add_to_output(down, lookup, shift):
            whole = model(input_ids=torch.tensor([ids])).logits[0, lookup:]
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_recorded_calls_give_the_layers_what_the_pass_gave_them():
    model = random_model("llama")
    decoder = discover(model)
    ids = torch.tensor([[0, 17, 300, 41]])
    with frozen(model), torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
        recorded = record_calls(decoder, {"input_ids": ids, "use_cache": False}, 1, 2)
        hidden = recorded.entered
        for layer, (args, kwargs) in zip(decoder.layers[1:3], recorded.calls, strict=True):
            hidden = layer.module(hidden, *args, **kwargs)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        none = record_calls(decoder, {"input_ids": ids}, LAYERS)
    torch.testing.assert_close(recorded.entered, states[1])
    torch.testing.assert_close(recorded.left, states[3])
    torch.testing.assert_close(hidden, recorded.left)
    assert none.calls == () and none.entered is none.left


def test_a_row_that_is_too_long_to_be_split_is_refused():
    decoder = discover(random_model("gemma3"))
    most = longest_row(decoder)
    window = decoder.model.config.get_text_config().sliding_window
    assert most == window // 2
    prepare_suffixes(decoder, [([0] * most, 1)], 0)
    with pytest.raises(ModelError, match=f"longer than {most} tokens"):
        prepare_suffixes(decoder, [([0] * (most + 1), 1)], 0)
