from __future__ import annotations

from typing import Any, cast

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kbsync.domain.errors import DataError, ModelError
from kbsync.model.tokens import control_tokens, encode, require_offsets, spells, split
from tests.support.chat_tokenizer import END, FRAME, TURN, Collapsed, chat_tokenizer
from tests.support.export_samples import tiny_tokenizer
from tests.support.random_models import random_model
from tests.support.tiny_model import byte_level_tokenizer


def test_ids_are_the_tokenizer_s_own_with_what_stands_before_every_text() -> None:
    for architecture, prefix in (("llama", 1), ("gpt2", 0)):
        _, tokenizer = random_model(architecture)
        text = "Zürich and São Paulo"
        (item,) = encode(tokenizer, [text])
        assert (item.ids, item.prefix, item.text) == (tokenizer(text)["input_ids"], prefix, text)
        assert item.ends[-1] == len(text) and item.ends[:prefix] == [0] * prefix


def test_a_text_without_a_token_is_refused_unless_it_may_be_empty() -> None:
    _, tokenizer = random_model("gpt2")
    assert encode(tokenizer, []) == []
    with pytest.raises(DataError, match="gives no token"):
        encode(tokenizer, ["The", ""])
    assert [item.ids for item in encode(tokenizer, [""], allow_empty=True)] == [[]]


def test_a_token_over_the_seam_belongs_to_the_continuation() -> None:
    _, tokenizer = random_model("llama")
    whole = "A bridge of stone"
    word = next(w for w in (" stone", " bridge") if len(tokenizer(w, add_special_tokens=False)["input_ids"]) == 1)
    cut = whole.index(word) + 3
    text = whole[: whole.index(word) + len(word)]
    (item,) = encode(tokenizer, [text])
    assert split(item, text[:cut], text[cut:]) == 1
    assert split(item, text[: cut - 3], text[cut - 3 :]) == 1


def test_a_continuation_needs_a_token_and_one_before_it() -> None:
    _, tokenizer = random_model("gpt2")
    (item,) = encode(tokenizer, ["The river"])
    with pytest.raises(DataError, match="gives no token"):
        split(item, "The river", "")
    with pytest.raises(DataError, match="Nothing stands before"):
        split(item, "", "The river")


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("with_bos", [False, True])
def test_where_offsets_end_where_they_start_the_tokens_own_texts_tell_the_places(
    at_the_end: bool, with_bos: bool
) -> None:
    tokenizer = chat_tokenizer(with_bos=with_bos)
    texts = [
        "Zürich and 東京 🦊🦊 lie\n\nfar apart",
        FRAME.replace("{}", "Who leads Łódź?"),
        "A",
        "\u00ad\u0100 x\u007f",
    ]
    broken: Any = Collapsed(tokenizer, at_the_end=at_the_end)
    assert encode(broken, texts) == encode(tokenizer, texts)
    require_offsets(broken, "here")


def test_a_tokenizer_that_does_not_tell_the_places_in_any_way_is_refused() -> None:
    words = {"▁Who": 0, "▁leads": 1, "▁S": 2, "?": 3, "▁": 4}
    backend = Tokenizer(models.WordLevel(words, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?")
    require_offsets(tokenizer, "here")
    with pytest.raises(ModelError, match=r"models/x: The tokenizer .* end where they start.*newer version"):
        require_offsets(cast(Any, Collapsed(tokenizer)), "models/x")


def test_control_tokens_are_the_special_ones_wherever_they_stand() -> None:
    tokenizer = chat_tokenizer()
    tokenizer.add_tokens(["<plain>"])
    assert control_tokens(tokenizer) == {"<s>", "</s>", TURN, END}
    (item,) = encode(tokenizer, [f"A{END}B"])
    assert tokenizer.convert_tokens_to_ids(END) in item.ids


def test_a_name_for_which_there_is_no_token_is_not_spelled() -> None:
    words = tiny_tokenizer()  # <unk> stands for all that it does not know
    assert spells(words, "head of state") and spells(words, " ")
    assert not spells(words, "head of 東京")
    assert spells(words, "Paris", len(words)) and not spells(words, "Berlin", len(words) - 1)
    dropping = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))  # without a token for the others
    assert spells(PreTrainedTokenizerFast(tokenizer_object=dropping), "ab")
    assert not spells(PreTrainedTokenizerFast(tokenizer_object=dropping), "東京")
    assert spells(byte_level_tokenizer([], 300), "東京 \U0001f98a \u0e01\u0e48")


@pytest.mark.slow
@pytest.mark.hardening
def test_a_pattern_that_backtracks_beyond_all_bounds_is_an_error_of_the_model(
    capfd: pytest.CaptureFixture[str],
) -> None:
    inside = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate("ab!")}, merges=[]))
    inside.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    with pytest.raises(ModelError, match="retry-limit"):
        encode(PreTrainedTokenizerFast(tokenizer_object=inside), ["a" * 40 + "!"])
    capfd.readouterr()  # Rust says on stderr where it panicked
