"""Prompts as token ids, with the place of the subject's last token and of the target's tokens.

Places come from the fast tokenizer's offset mapping, never from searching strings or counting blanks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from kbsync.domain.plan import EditRequest
from kbsync.model.tokens import encode

ESSENCE = "{} is a"
"""The prompt whose next-token distribution at the subject must not drift (Meng et al. 2022, ROME, equation 4)."""


class Unlocatable(ValueError):
    """A request whose tokens can't be told apart; the message is the reason for leaving it out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """``ids`` as the model sees them; ``lookup``: the subject's last token; ``target``: index of the target's first
    token (``len(ids)`` where there is no target)."""

    ids: tuple[int, ...]
    lookup: int
    target: int

    @property
    def head(self) -> tuple[int, ...]:
        """The ids up to the subject's last token: all that a key depends on."""
        return self.ids[: self.lookup + 1]


@dataclass(frozen=True, slots=True)
class Task:
    """One request as tokens: ``prompts`` with the target, bare first and then one per context; ``essence`` without."""

    request: EditRequest
    prompts: tuple[Prompt, ...]
    essence: Prompt

    @property
    def tail(self) -> int:
        """Tokens from the subject's last one to the last but one of the target: what an optimisation step runs."""
        return max(len(p.ids) - p.lookup for p in self.prompts) - 1


def tokenise(
    tokenizer: PreTrainedTokenizerFast, requests: Sequence[EditRequest], contexts: Sequence[str], longest: int
) -> tuple[list[Task], dict[str, str]]:
    """Tasks in the order of ``requests``, and the reason for each request (by id) that can't be one.

    ``longest``: the most tokens that a prompt with context and target may have.
    """
    tasks, left_out = [], {}
    for request in requests:
        try:
            made = task(tokenizer, request, contexts)
            length = max(len(prompt.ids) for prompt in made.prompts)
            if length > longest:
                raise Unlocatable(f"prompt and target are {length} tokens long, and {longest} is the most")
            tasks.append(made)
        except Unlocatable as reason:
            left_out[request.id] = str(reason)
    return tasks, left_out


def task(tokenizer: PreTrainedTokenizerFast, request: EditRequest, contexts: Sequence[str]) -> Task:
    """Raises ``Unlocatable`` with the reason."""
    if request.template.count("{}") != 1:
        raise Unlocatable(f"the template {request.template!r} has not exactly one place for the subject")
    if not request.target.strip():
        raise Unlocatable("the target is empty")
    frames = ["{}", *contexts]
    prompts = tuple(locate(tokenizer, _inside(f, request.template), request.subject, request.target) for f in frames)
    return Task(request, prompts, locate(tokenizer, ESSENCE, request.subject, None))


def locate(tokenizer: PreTrainedTokenizerFast, template: str, subject: str, target: str | None) -> Prompt:
    """Tokenise ``template`` with ``subject`` in its first ``{}``, one blank and ``target`` as one text.

    The subject's place is known from the template, so it may occur again anywhere. The target's ids are those that
    follow the prompt's in this one text: the ids that the model must produce after seeing the prompt.
    """
    before, _, after = template.partition("{}")
    shown = subject.rstrip()
    if not shown.strip():
        raise Unlocatable("the subject is empty")
    prompt = before + subject + after
    ids, ends = _encode(tokenizer, prompt if target is None else f"{prompt} {target.strip()}")
    lookup = _last_token(ends, len(before) + len(shown))
    if lookup is None:
        raise Unlocatable(f"no token covers the last character of the subject {subject!r}")
    if target is None:
        return Prompt(ids, lookup, len(ids))
    first = sum(end <= len(prompt) for end in ends)
    if first >= len(ids) or ids[:first] != _encode(tokenizer, prompt)[0]:
        raise Unlocatable(f"the prompt {prompt!r} and the target {target!r} share a token")
    return Prompt(ids, lookup, first)


def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[tuple[int, ...], list[int]]:
    """Ids, BOS included where the tokenizer puts one, and where each one's characters end in ``text``."""
    (item,) = encode(tokenizer, [text])
    return tuple(item.ids), item.ends


def _last_token(ends: Sequence[int], stop: int) -> int | None:
    """The last of the tokens that spell the character before ``stop``: a character may take several (bytes)."""
    reached = next((end for end in ends if end >= stop), None)
    return None if reached is None else len(ends) - 1 - list(reversed(ends)).index(reached)


def _inside(context: str, template: str) -> str:
    """``template`` in the place of the context's last ``{}``."""
    before, _, after = context.rpartition("{}")
    return before + template + after
