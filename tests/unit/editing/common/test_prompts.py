"""Tokens of subjects and targets are found whatever labels look like, or the rewrite is left out with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import KL_TEMPLATE, Unlocatable, locate, tokenise, tokenise_all
from tests.support.chat_tokenizer import END, FRAME, TURN, chat_tokenizer
from tests.support.export_samples import tiny_tokenizer
from tests.support.families import CONTEXTS, tokenizer

BOS = 0
FAST: Any = PreTrainedTokenizerFast


def spelled(ids: Sequence[int]) -> str:
    return str(tokenizer().decode(list(ids)))


@pytest.mark.parametrize(
    ("subject", "template"),
    [
        ("France", "The capital of {} is"),
        ("France", "{} has the capital"),
        ("France", "Which city is the capital of {}"),
        ("is", "The capital of {} is"),
        ("France", "France, France and {} and France have"),
        ("東京", "The mayor of {} is"),
        ("Москва", "{}: the head of government is"),
        ("العربية\u200f", "The writing of {} is"),
        ("e\u0301te\u0301", "The season {} is"),
        ("a\nb", "The band {} is led by"),
        ("{x}", "The set {} holds"),
        ("{}", "The symbol {} means"),
        ("Acme Inc.", "{}'s chief is"),
        ("x" * 60, "The word {} is"),
        ("Paris's", "The people of {} are"),
        ("🦊🦊", "The animal {} is"),
    ],
)
def test_the_subjects_last_token_is_found(subject: str, template: str) -> None:
    got = locate(tokenizer(), template, subject, "Oslo")
    before, _, after = template.partition("{}")
    shown = subject.rstrip()
    assert got.ids[0] == BOS
    assert spelled(got.ids[1 : got.lookup + 1]).startswith(before + shown)
    assert not spelled(got.ids[1 : got.lookup]).startswith(before + shown)
    assert spelled(got.ids[1 : got.target]) == before + subject + after
    assert spelled(got.ids[got.target :]) == " Oslo"
    assert got.key_ids == got.ids[: got.lookup + 1]


def test_every_byte_of_the_last_character_is_within() -> None:
    """A character that takes several tokens ends at the last of them."""
    got = locate(tokenizer(), "See {} now", "🦊", "Oslo")
    assert spelled(got.ids[1 : got.lookup + 1]) == "See 🦊"
    assert "🦊" not in spelled(got.ids[1 : got.lookup])


def test_a_trailing_blank_or_newline_is_not_the_subjects_last_token() -> None:
    got = locate(tokenizer(), "The capital of {} is", "Norway\n", "Oslo")
    assert spelled(got.ids[1 : got.lookup + 1]).endswith("Norway")


def test_target_ids_are_what_follows_the_prompt_at_inference() -> None:
    prompt = "The capital of France is"
    got = locate(tokenizer(), "The capital of {} is", "France", " Rome ")
    assert list(got.ids[: got.target]) == tokenizer()(prompt)["input_ids"]
    assert list(got.ids) == tokenizer()(prompt + " Rome")["input_ids"]


def test_the_target_follows_a_line_break_directly() -> None:
    got = locate(tokenizer(), "Which city is the capital of {}?\n", "France", " Rome")
    assert spelled(got.ids[1:]) == "Which city is the capital of France?\nRome"
    assert spelled(got.ids[got.target :]) == "Rome"


def test_tokenizers_without_a_start_token() -> None:
    got = locate(tokenizer(with_bos=False), "{} is", "Rome", "big")
    assert got.ids[0] != BOS or tokenizer(with_bos=False).decode([got.ids[0]]) == "R"
    assert tokenizer(with_bos=False).decode(list(got.ids[: got.lookup + 1])) == "Rome"


def test_an_appended_end_token_is_dropped() -> None:
    backend = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    closing = FAST(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    assert closing("Rome")["input_ids"][-1] == 1
    assert locate(closing, "{} is", "Rome", "big") == locate(tokenizer(), "{} is", "Rome", "big")


def test_the_kl_prompt_is_looked_at_at_its_subject() -> None:
    got = locate(tokenizer(), KL_TEMPLATE, "France", None)
    assert spelled(got.key_ids[1:]) == "France"
    assert spelled(got.ids[1:]) == "France is a"
    assert got.target == len(got.ids)


def test_a_rewrite_has_the_bare_prompt_first_and_one_per_context() -> None:
    made = tokenise(tokenizer(), Rewrite("The capital of {} is", "France", "Oslo"), CONTEXTS)
    texts = [spelled(p.ids[1:]) for p in made.prompts]
    assert texts == [
        "The capital of France is Oslo",
        "The river is long. The capital of France is Oslo",
        "Because of it we know. The capital of France is Oslo",
    ]
    assert all(spelled(p.key_ids[1:]).endswith("capital of France") for p in made.prompts)
    assert made.suffix_length == max(len(p.ids) - p.lookup for p in made.prompts) - 1


@pytest.mark.parametrize(
    ("subject", "template", "target", "reason"),
    [
        ("", "The capital of {} is", "Oslo", "subject is empty"),
        (" \n", "The capital of {} is", "Oslo", "subject is empty"),
        ("France", "The capital of France is", "Oslo", "exactly one place"),
        ("France", "{} and {} are", "Oslo", "exactly one place"),
        ("France", "The capital of {} is", "  ", "target is empty"),
        ("France", "The capital of {} is", "Oslo " * 80, "tokens long, and 90 is the most"),
    ],
)
def test_what_can_not_be_located_is_left_out_by_name_and_the_rest_goes_on(
    subject: str, template: str, target: str, reason: str
) -> None:
    bad, good = Rewrite(template, subject, target), Rewrite("The capital of {} is", "Norway", "Oslo")
    rewrites, left_out = tokenise_all(tokenizer(), [bad, good], CONTEXTS, 90)
    assert [r.rewrite for r in rewrites] == [good]
    assert list(left_out) == [bad.id] and reason in left_out[bad.id]


@pytest.mark.parametrize(("subject", "target"), [("東京", "Paris"), ("France", "東京")])
def test_a_name_without_a_token_is_left_out_by_name(subject: str, target: str) -> None:
    bad, good = Rewrite("the head of {} is", subject, target), Rewrite("the head of {} is", "France", "Paris")
    rewrites, left_out = tokenise_all(tiny_tokenizer(), [bad, good], (), 90)
    assert [r.rewrite for r in rewrites] == [good]
    assert "no tokens for a part of the" in left_out[bad.id] and "東京" in left_out[bad.id]


def test_tokens_beyond_the_model_are_left_out_by_name() -> None:
    bad, good = Rewrite("The capital of {} is", "Norway", "Zorbo"), Rewrite("The capital of {} is", "Norway", "Oslo")
    extended = tokenizer()
    size = len(extended)
    more = type(extended)(tokenizer_object=Tokenizer.from_str(extended.backend_tokenizer.to_str()))
    more.add_tokens(["Zorbo"])
    rewrites, left_out = tokenise_all(more, [bad, good], (), 90, vocabulary=size)
    assert [r.rewrite for r in rewrites] == [good]
    assert left_out == {bad.id: f"it holds token {size}, and the model has {size} tokens"}


def test_a_token_over_the_seam_of_prompt_and_target_is_refused() -> None:
    words = {"a": 0, "is": 1, " ": 2, "is b": 3, "b": 4, "i": 5, "s": 6}
    merges = [("i", "s"), ("is", " "), ("is ", "b")]
    words |= {"is ": 7}
    backend = Tokenizer(models.BPE(vocab={**words, "is b": 3}, merges=merges))
    backend.normalizer = normalizers.Sequence([])
    backend.decoder = decoders.Fuse()
    greedy = FAST(tokenizer_object=backend)
    with pytest.raises(Unlocatable, match="share a token"):
        locate(greedy, "{} is", "a", "b")


@pytest.mark.parametrize(
    ("subject", "target"), [(f"Norway{END}", "Oslo"), ("Norway", f"Oslo{TURN}user"), (TURN, "Oslo")]
)
def test_a_label_with_a_control_token_is_left_out_by_name_and_the_frames_own_ones_stay(
    subject: str, target: str
) -> None:
    template = FRAME.replace("{}", "Which city is the capital of {}?")
    bad, good = Rewrite(template, subject, target), Rewrite(template, "Norway", "Oslo")
    rewrites, left_out = tokenise_all(chat_tokenizer(), [bad, good], (), 90)
    assert [r.rewrite for r in rewrites] == [good]
    assert list(left_out) == [bad.id]
    assert re.search(r"the (subject|target) '.*' holds '<\|(turn|end)\|>', which the model reads", left_out[bad.id])


def test_a_chat_turn_is_located_like_any_prompt() -> None:
    chat = chat_tokenizer()
    got = locate(chat, FRAME.replace("{}", "Which city is the capital of {}?"), "Norway", "Oslo")
    assert str(chat.decode(list(got.key_ids), skip_special_tokens=False)).endswith("capital of Norway")
    assert chat.decode(list(got.ids[got.target :])) == "Oslo"


def test_a_subject_that_is_the_first_token_in_every_phrasing_is_left_out() -> None:
    """Without BOS, the key of a text's first token is that of any text's beginning."""
    words = Tokenizer(models.WordLevel({"France": 0, "the": 1, "leads": 2, "in": 3, "Berg": 4, "?": 5}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    bare = FAST(tokenizer_object=words, unk_token="?")
    alone = Rewrite("{} leads", "France", "Berg")
    among = Rewrite("{} leads", "France", "Berg", phrasings=(FramedPhrasing("in {} leads"),))
    found, left_out = tokenise_all(bare, [alone, among], (), 99, phrasings=True)
    assert [one.rewrite for one in found] == [among]
    assert [p.lookup for p in found[0].prompts] == [0, 1] and found[0].keyed == found[0].prompts[1:]
    assert left_out == {alone.id: "its subject is the first token that the model reads, in every phrasing"}
    published, _ = tokenise_all(bare, [alone], (), 99)
    assert len(published) == 1, "one phrasing is written as published"
