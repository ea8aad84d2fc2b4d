"""How a chat model is asked: one turn of its chat template, as a frame with one place for the question.

Neither this module nor what it imports loads torch or transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from kbsync.domain.errors import ModelError
from kbsync.domain.phrasing import PLAIN, SUBJECT, Frames, fill
from kbsync.model.chat_template import TemplateFailed, render
from kbsync.model.model_files import TEMPLATE_FILE, read_json

CONFIG_FILE = "tokenizer_config.json"
QUESTIONS = ("Who leads  São 東京 now?", 'Isn\'t "Ål & <Co>" led by 2 people?')
"""What the template is tried with. One that trims, escapes or folds a question would do it to one of these."""
ANSWER = "Ångström, 1814"
"""Likewise, to find what follows an answer."""
TO_BE_COMPLETED = "Complete the sentence: {} …"
"""How the beginning of a sentence becomes a turn of the user."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A tokenizer's chat template, with what rendering it needs."""

    source: str
    """The program in Jinja."""
    place: str
    """Where it was found, for errors."""
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """The tokenizer's, by their names: ``bos_token`` and so on."""
    adds_bos: bool = False
    """Whether the tokenizer itself puts BOS before every text."""


def read_chat_template(directory: Path) -> ChatTemplate | None:
    """The chat template of the model that ``directory`` holds; None where it has none.

    Raises:
        ModelError: A file of the tokenizer is damaged.
    """
    config = read_json(directory / CONFIG_FILE) if (directory / CONFIG_FILE).is_file() else {}
    place = directory / TEMPLATE_FILE
    if place.is_file():
        try:
            source: object = place.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{place} can't be read: {error}.", next_step="Fetch the model again.") from error
    else:
        place, source = directory / CONFIG_FILE, _default(config.get("chat_template"))
    if not isinstance(source, str) or not source.strip():
        return None
    tokens = {name: text for name, value in config.items() if name.endswith("_token") and (text := _text(value))}
    return ChatTemplate(source, str(place), tokens, _adds_bos(directory, config, tokens.get("bos_token", "")))


def chat_template_of(tokenizer: Any) -> ChatTemplate | None:
    """The chat template of a tokenizer of transformers; None where it has none."""
    source = _default(getattr(tokenizer, "chat_template", None))
    if not isinstance(source, str) or not source.strip():
        return None
    tokens = {name: str(text) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
    begins = tokenizer("A")["input_ids"][:1] == [tokenizer.bos_token_id]
    return ChatTemplate(source, f"the tokenizer of {tokenizer.name_or_path or 'this model'}", tokens, begins)


def chat_frame(template: ChatTemplate, system: str = "") -> str:
    """What a chat model reads before it answers a question.

    Args:
        template: The model's.
        system: The system prompt; empty: the template's own, if it has one.

    Returns:
        A text with one ``{}`` in place of the question; the answer follows it. BOS is left out at the beginning where
        the tokenizer adds it.

    Raises:
        ModelError: The template fails to render, or does not leave the question and the system prompt as they are.
    """
    first, second = QUESTIONS
    text = _rendered(template, system, first)
    if text.count(first) != 1:
        _refuse(template, _what_became_of(first, text))
    if system and system.strip() not in text:
        _refuse(template, "leaves the system prompt out", "Set `system` in [model] to nothing")
    frame = text.replace(first, SUBJECT)
    if frame.count(SUBJECT) != 1:
        _refuse(template, "writes {} itself, which stands for the question")
    if _rendered(template, system, second) != fill(frame, second):
        _refuse(template, "changes some questions, so that a subject would not be found in them")
    bos = template.special_tokens.get("bos_token", "")
    return frame.removeprefix(bos) if template.adds_bos else frame


def turn_end(template: ChatTemplate) -> str:
    """What the template puts after an answer, mostly a control token; a line break where it puts nothing."""
    nothing = template.special_tokens.get("eos_token", "\n")
    try:
        text = _render(template, ("user", QUESTIONS[0]), ("assistant", ANSWER), answered=True)
    except TemplateFailed:  # a template for one turn only
        return nothing
    _, found, end = text.rpartition(ANSWER)
    return (end.rstrip() or "\n") if found else nothing


def chat_frames(directory: Path, chat: str = "auto", system: str = "") -> Frames:
    """How the model in ``directory`` is asked.

    Args:
        directory: Holds the model's files.
        chat: ``auto``: questions and dialogue go through the chat template, where there is one. ``always``: held-out
            statements do, too. ``never``: all is plain completion. Statements that are edited are always continued.
        system: The system prompt; empty: the template's own, if it has one.

    Raises:
        ModelError: As ``chat_frame`` does, or ``chat`` is ``always`` and there is no template.
    """
    return PLAIN if chat == "never" else _frames(read_chat_template(directory), str(directory), chat, system)


def require_frames(tokenizer: Any, frames: Frames, chat: str = "auto", system: str = "") -> None:
    """Check that a loaded tokenizer asks as its files told; raises ``ModelError`` where it does not."""
    place = str(tokenizer.name_or_path or "the model")
    if chat != "never" and _frames(chat_template_of(tokenizer), place, chat, system) != frames:
        raise ModelError(
            f"The tokenizer of {place} puts a chat together in another way than its files tell.",
            next_step='Set `chat = "never"` in [model] to ask by plain completion.',
        )


def _frames(template: ChatTemplate | None, place: str, chat: str, system: str) -> Frames:
    if template is None:
        if chat == "always":
            raise ModelError(
                f'{place} has no chat template, and [model] says `chat = "always"`.',
                next_step='Name an instruct model, or set `chat = "auto"`.',
            )
        return PLAIN
    frame = chat_frame(template, system)
    frames = Frames.chat(frame, turn_end(template))
    return replace(frames, held_out_statement=fill(frame, TO_BE_COMPLETED)) if chat == "always" else frames


def _rendered(template: ChatTemplate, system: str, question: str) -> str:
    turns = [("system", system)] if system else []
    try:
        return _render(template, *turns, ("user", question))
    except TemplateFailed as error:
        hint = "Correct it, set `system` in [model] to nothing" if system else "Correct it"
        _refuse(template, f"can't be rendered: {error}", hint)


def _render(template: ChatTemplate, *turns: tuple[str, str], answered: bool = False) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    return render(template.source, messages, template.special_tokens, answered=answered)


def _what_became_of(question: str, text: str) -> str:
    if question in text:
        return f"writes the question {text.count(question)} times"
    if "".join(question.split()).casefold() in "".join(text.split()).casefold():
        return "changes the blanks or the case of the question, so that a subject would not be found in it"
    return "leaves the question out, or changes its characters"


def _refuse(template: ChatTemplate, what: str, hint: str = "Correct it") -> NoReturn:
    raise ModelError(
        f"The chat template in {template.place} {what.rstrip('.')}.",
        next_step=f'{hint}, or set `chat = "never"` in [model] to ask by plain completion.',
    )


def _default(templates: object) -> object:
    """Of several templates the one that is called ``default``."""
    if isinstance(templates, list):
        templates = {entry.get("name"): entry.get("template") for entry in templates if isinstance(entry, dict)}
    return templates.get("default") if isinstance(templates, dict) else templates


def _text(token: object) -> str:
    """A special token's text; configurations hold it bare or in an object."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


def _adds_bos(directory: Path, config: Mapping[str, Any], bos: str) -> bool:
    """Whether the tokenizer puts BOS before every text, by its configuration, or else by its ``tokenizer.json``."""
    configured = config.get("add_bos_token")
    if isinstance(configured, bool):
        return configured and bool(bos)
    file = directory / "tokenizer.json"
    return bool(bos) and file.is_file() and bos in _put_first(_post_processor(file))


def _post_processor(file: Path) -> dict[str, Any]:
    """What ``tokenizer.json`` does last. It stands before the vocabulary, which may have 30 MB and is not parsed."""
    text = file.read_text(encoding="utf-8")
    _, key, rest = text.partition('"post_processor":')
    try:
        value, _ = json.JSONDecoder().raw_decode(rest.lstrip()) if key else (None, 0)
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {error}.", next_step="Fetch the model again.") from error
    return value if isinstance(value, dict) else {}


def _put_first(processor: Mapping[str, Any]) -> Iterator[str]:
    """Special tokens that the processor, or one of the sequence that it is, puts before a text."""
    for inner in processor.get("processors", ()):
        yield from _put_first(inner)
    match processor.get("single"):
        case [{"SpecialToken": {"id": str(token)}}, *_]:
            yield token
