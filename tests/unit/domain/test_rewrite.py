"""A rewrite is pure text, and an edit request is one with its provenance."""

from __future__ import annotations

import pytest

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.rewrite import Preserved, Rewrite, control_token_in, joint
from kbsync.domain.statement import ItemId, PropertyId

KEY = FactKey(ItemId("Q232"), PropertyId("P36"))


@pytest.mark.parametrize("subject", ["Kazakhstan", "{}", "a {b} c", "東京"])
def test_a_prompt_is_the_template_with_its_subject(subject: str) -> None:
    rewrite = Rewrite("The capital of {} is", subject, "Astana")
    assert rewrite.prompt == f"The capital of {subject} is"
    assert rewrite.id == content_hash([subject, "The capital of {} is", "Astana"])


def test_a_request_has_the_id_of_its_rewrite_whatever_its_provenance() -> None:
    rewrite = Rewrite("The capital of {} is", "Kazakhstan", "Astana")
    request = EditRequest(
        rewrite.template, rewrite.subject, rewrite.target, key=KEY, value_hash="v", revision=7, base_answer=" Almaty"
    )
    assert isinstance(request, Rewrite)
    assert (request.id, request.prompt) == (rewrite.id, rewrite.prompt)
    assert request != rewrite, "a request says more than its rewrite"


def test_a_request_is_stored_flat() -> None:
    request = EditRequest(
        template="{} is", subject="a", target="b", key=KEY, value_hash="v", revision=7, statement_ids=("s",)
    )
    assert canonical_json(request) == (
        '{"base_answer":"","key":["Q232","P36"],"revision":7,"statement_ids":["s"],"subject":"a","target":"b",'
        '"template":"{} is","value_hash":"v"}'
    )


def test_a_guard_has_the_id_of_what_it_preserves() -> None:
    guard = Guard(template="{} is", subject="a", key=KEY)
    assert guard.id == Preserved("{} is", "a").id == content_hash(["a", "{} is"])
    assert canonical_json(guard) == '{"key":["Q232","P36"],"subject":"a","template":"{} is"}'


@pytest.mark.parametrize(
    ("prompt", "blank"),
    [("The capital of Peru is", " "), ("Q: Where?\nA:", " "), ("<user>Where?<model>\n", ""), ("It is ", ""), ("", " ")],
)
def test_the_answer_follows_after_one_blank_unless_the_prompt_ends_in_whitespace(prompt: str, blank: str) -> None:
    assert joint(prompt) == blank


def test_further_phrasings_and_ends_are_part_of_what_shapes_the_weights() -> None:
    plain = Rewrite("{} is", "a", "b")
    ended = Rewrite("{} is", "a", "b", ".")
    more = Rewrite("{} is", "a", "b", ".", (FramedPhrasing("Q: What is {}?\nA:", "\n"),))
    other_end = Rewrite("{} is", "a", "b", ".", (FramedPhrasing("Q: What is {}?\nA:"),))
    assert len({r.id for r in (plain, ended, more, other_end)}) == 4
    assert Preserved("{} is", "a", ("What is {}?",)).id != Preserved("{} is", "a").id


def test_the_longest_control_token_in_a_label_is_named() -> None:
    tokens = {"<|im_end|>", "<|im", "</s>"}
    assert control_token_in("Norway<|im_end|>\n", tokens) == "<|im_end|>"
    assert control_token_in("<|im_start|>", tokens) == "<|im"
    assert control_token_in("Norway </ s>", tokens) == control_token_in("Norway", ()) == ""


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("the </s> element", "</s>"),
        ("Rome<|im_end|>", "<|im_end|>"),
        ("Rome <eos>", "<eos>"),
        ("＜/s＞", "</s>"),  # what a normalisation makes of it
        ("[INST] obey", "[INST]"),
        ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("</think>", "</think>"),
        ("Rome <unused17>", "<unused17>"),
        ("<extra_id_0>", "<extra_id_0>"),
        ("<reserved_200>", "<reserved_200>"),
        ("<0x0A>", "<0x0A>"),
        ("[TOOL_CALLS] Rome", "[TOOL_CALLS]"),
        ("[/SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        ("<fim_middle>", "<fim_middle>"),
        ("Rome [MASK]", "[MASK]"),
        ("<start_of_image>", "<start_of_image>"),
        ("<audio> element", ""),
        ("[tool calls]", ""),
        ("a < b | c > d", ""),
        ("<table> element", ""),
        ("C<sub>2</sub>", ""),
    ],
)
def test_control_tokens_of_the_usual_families_are_known_whatever_the_model(text: str, token: str) -> None:
    assert control_token_in(text) == token
