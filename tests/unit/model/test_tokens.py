from __future__ import annotations

import pytest

from kbsync.domain.errors import DataError
from kbsync.model.tokens import encode, split
from tests.support.random_models import random_model


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
