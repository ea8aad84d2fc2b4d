"""The frame of a chat model: one place for the question, or one clear error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from kbsync.domain.errors import ModelError
from kbsync.domain.phrasing import PLAIN, Form, Frames, Use
from kbsync.model.chat import (
    ChatTemplate,
    chat_frame,
    chat_frames,
    chat_template_of,
    read_chat_template,
    require_frames,
    turn_end,
)
from kbsync.model.tokens import encode
from tests.support.chat_tokenizer import END, FRAME, TEMPLATE, chat_tokenizer

QUESTION = "Who leads Zürich, and since when?"


def template(source: str, **tokens: str) -> ChatTemplate:
    return ChatTemplate(source, "a/chat_template.jinja", tokens)


def test_the_frame_is_the_rendered_turn_with_a_place_for_the_question() -> None:
    known = chat_template_of(chat_tokenizer())
    assert known is not None
    assert chat_frame(known) == FRAME
    assert chat_frame(known, "Be brief.") == "<|turn|>system\nBe brief.<|end|>\n" + FRAME


@pytest.mark.parametrize("with_bos", [True, False])
def test_a_framed_question_gives_the_tokens_that_the_template_gives(with_bos: bool) -> None:
    """BOS stands once at the beginning, whether the tokenizer puts it there or the template alone."""
    tokenizer = chat_tokenizer(with_bos=with_bos)
    known = chat_template_of(tokenizer)
    assert known is not None and known.adds_bos is with_bos
    (item,) = encode(tokenizer, [chat_frame(known).replace("{}", QUESTION)])
    turn = [{"role": "user", "content": QUESTION}]
    whole = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert item.ids == list(whole)
    assert item.ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("with_bos", [True, False])
def test_files_and_tokenizer_tell_the_same(with_bos: bool, tmp_path: Path) -> None:
    tokenizer = chat_tokenizer(with_bos=with_bos)
    tokenizer.save_pretrained(tmp_path)
    stored, known = read_chat_template(tmp_path), chat_template_of(AutoTokenizer.from_pretrained(tmp_path))
    assert stored is not None and known is not None
    assert stored.place == str(tmp_path / "chat_template.jinja")
    assert (stored.source, stored.adds_bos) == (known.source, known.adds_bos) == (TEMPLATE, with_bos)
    assert chat_frame(stored) == chat_frame(known)


def test_older_models_have_the_template_in_the_configuration(tmp_path: Path) -> None:
    place = tmp_path / "tokenizer_config.json"
    bos = {"content": "<s>", "special": True}
    place.write_text(json.dumps({"chat_template": TEMPLATE, "bos_token": bos, "add_bos_token": True}))
    stored = read_chat_template(tmp_path)
    assert stored == ChatTemplate(TEMPLATE, str(place), {"bos_token": "<s>"}, adds_bos=True)
    named = [{"name": "tool_use", "template": "other"}, {"name": "default", "template": TEMPLATE}]
    place.write_text(json.dumps({"chat_template": named, "bos_token": "<s>"}))
    stored = read_chat_template(tmp_path)
    assert stored is not None and (stored.source, stored.adds_bos) == (TEMPLATE, False)


def test_a_model_without_a_template_has_none(tmp_path: Path) -> None:
    assert read_chat_template(tmp_path) is None
    chat_tokenizer(None).save_pretrained(tmp_path)
    assert read_chat_template(tmp_path) is None
    assert chat_template_of(chat_tokenizer(None)) is None
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is not JSON"):
        read_chat_template(tmp_path)


ASKED = "{{ messages[-1]['content'] }}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('only text') }}", r"can't be rendered: line 1: only text\. "),
        ("Hi\n{% if %}", r"can't be rendered: line 2: "),
        ("Hello.", "leaves the question out"),
        (f"{ASKED} I repeat: {ASKED}", "writes the question 2 times"),
        ("{{ messages[-1]['content'] | lower }}", "the blanks or the case of the question"),
        ("{{ messages[-1]['content'].split() | join(' ') }}", "the blanks or the case of the question"),
        (
            "{{ messages[-1]['content'].replace('東京', 'Tokyo') }}",
            "leaves the question out, or changes its characters",
        ),
        ("{{ messages[-1]['content'] | replace('&', '&amp;') }}", "changes some questions"),
        (f"Answer as JSON, {{{{ '{{}}' }}}}. {ASKED}", "writes {} itself"),
    ],
)
def test_a_template_that_moves_the_subject_out_of_reach_is_refused(source: str, reason: str) -> None:
    with pytest.raises(ModelError) as refused:
        chat_frame(template(source))
    message = str(refused.value)
    assert message.startswith("The chat template in a/chat_template.jinja ")
    assert reason.replace("\\", "") in message
    assert "Nothing was changed." in message and 'or set `chat = "never"` in [model]' in message


@pytest.mark.parametrize(
    "source", [ASKED, f"{{% if messages[0]['role'] == 'system' %}}{{{{ raise_exception('no') }}}}{{% endif %}}{ASKED}"]
)
def test_a_template_that_takes_no_system_prompt_says_so(source: str) -> None:
    assert chat_frame(template(source)) == "{}"
    with pytest.raises(ModelError, match=r"[sS]et `system` in \[model\] to nothing"):
        chat_frame(template(source), "Be brief.")


@pytest.mark.parametrize(
    ("source", "end"),
    [
        (TEMPLATE, END),
        ("{% for m in messages %}[{{ m['content'] }}]\n{% endfor %}", "]"),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "\n"),
        ("{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}" + ASKED, "</s>"),
        ("{{ messages[0]['content'] }}", "</s>"),
    ],
)
def test_an_answer_ends_as_the_template_ends_it(source: str, end: str) -> None:
    assert turn_end(template(source, eos_token="</s>")) == end


def test_auto_asks_questions_and_always_all_but_what_is_edited_through_the_template(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    auto, always = chat_frames(tmp_path), chat_frames(tmp_path, "always", "Be brief.")
    assert auto == Frames.chat(FRAME, END)
    assert auto.of(Use.HELD_OUT, Form.STATEMENT) == auto.of(Use.EDIT, Form.STATEMENT) == "{}"
    brief = "<|turn|>system\nBe brief.<|end|>\n" + FRAME
    assert {always.of(use, form) for use in Use for form in (Form.QUESTION, Form.DIALOGUE)} == {brief}
    assert always.of(Use.HELD_OUT, Form.STATEMENT) == brief.replace("{}", "Complete the sentence: {} …")
    assert always.of(Use.EDIT, Form.STATEMENT) == "{}"
    assert chat_frames(tmp_path, "never") == PLAIN
    require_frames(tokenizer, auto)
    require_frames(tokenizer, always, "always", "Be brief.")
    require_frames(chat_tokenizer(None), PLAIN, "never")
    with pytest.raises(ModelError, match="in another way than its files tell"):
        require_frames(chat_tokenizer(with_bos=False), auto)


def test_a_model_without_a_template_is_asked_plainly_unless_it_must_be_a_chat(tmp_path: Path) -> None:
    chat_tokenizer(None).save_pretrained(tmp_path)
    assert chat_frames(tmp_path) == chat_frames(tmp_path, "never", "Be brief.") == PLAIN
    with pytest.raises(ModelError, match=r'has no chat template, and \[model\] says `chat = "always"`'):
        chat_frames(tmp_path, "always")
    (tmp_path / "chat_template.jinja").write_text("{% if %}")
    assert chat_frames(tmp_path, "never") == PLAIN
    with pytest.raises(ModelError, match=r"chat_template\.jinja can't be rendered: line 1"):
        chat_frames(tmp_path)


def test_reading_a_frame_imports_no_torch(tmp_path: Path) -> None:
    chat_tokenizer().save_pretrained(tmp_path)
    program = (
        "import sys; from pathlib import Path; from kbsync.model.chat import *; "
        "print(chat_frame(read_chat_template(Path(sys.argv[1]))), end=''); "
        "sys.exit(bool({'torch', 'transformers', 'numpy'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, FRAME), run.stderr
