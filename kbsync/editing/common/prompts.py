"""Rewrites as token ids, with the places of the subject's last token and of the target's tokens.

Places come from the fast tokenizer's offset mapping, never from searching strings or counting blanks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.rewrite import Rewrite, control_token_in, joint
from kbsync.model.tokens import control_tokens, encode, spells

KL_TEMPLATE = "{} is a"
"""The KL prompt: what follows it at the subject must not drift (ROME, Meng et al., NeurIPS 2022, equation 4)."""


class Unlocatable(ValueError):
    """A rewrite whose tokens can't be told apart; the message is the reason for leaving it out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One text as the model reads it."""

    ids: tuple[int, ...]
    """Token ids of prompt and target, with what the tokenizer puts in front (BOS)."""
    lookup: int
    """Index of the subject's last token, where keys are read and target vectors are set."""
    target: int
    """Index of the target's first token; ``len(ids)`` where there is no target."""

    @property
    def key_ids(self) -> tuple[int, ...]:
        """The ids up to the subject's last token: all that a key depends on."""
        return self.ids[: self.lookup + 1]


@dataclass(frozen=True, slots=True)
class TokenisedRewrite:
    """One rewrite as tokens."""

    rewrite: Rewrite
    prompts: tuple[Prompt, ...]
    """Prompts with the target: the bare one first, then one for each context, then one for each further phrasing."""
    kl_prompt: Prompt
    """``KL_TEMPLATE`` with the subject, without a target."""

    @property
    def id(self) -> str:
        """The rewrite's."""
        return self.rewrite.id

    @property
    def bare(self) -> Prompt:
        """The prompt without a context."""
        return self.prompts[0]

    @property
    def keyed(self) -> tuple[Prompt, ...]:
        """The prompts whose keys say which subject is meant: not those in which the subject is the first token that the
        model reads.

        A model without BOS gives the first token of every text nearly the same state, whose norm may be a hundred times
        that of others (Sun et al. 2024, arXiv:2402.17762). An edit at that key changes how every text begins, and one
        such column is enough to ruin a model (Yang et al. 2024, arXiv:2406.11263).
        """
        return tuple(prompt for prompt in self.prompts if prompt.lookup > 0)

    @property
    def suffix_length(self) -> int:
        """Positions that a step of the target search recomputes: from the subject's last token to the last but one of
        the target, in the longest prompt."""
        return max(len(p.ids) - p.lookup for p in self.prompts) - 1


def tokenise_all(
    tokenizer: PreTrainedTokenizerFast,
    rewrites: Sequence[Rewrite],
    contexts: Sequence[str],
    max_tokens: int,
    *,
    phrasings: bool = False,
    vocabulary: int | None = None,
) -> tuple[list[TokenisedRewrite], dict[str, str]]:
    """Tokenise what can be tokenised.

    Args:
        contexts: Texts with one ``{}`` for the prompt.
        max_tokens: The most tokens that a prompt with context and target may have.
        phrasings: Whether a rewrite's further phrasings are tokenised as well.
        vocabulary: The number of tokens that the model can read (None: as many as the tokenizer has).

    Returns:
        The rewrites in their order, and the reason for each that was left out, by its id.
    """
    tokenised, left_out = [], {}
    for rewrite in rewrites:
        try:
            one = tokenise(tokenizer, rewrite, contexts, phrasings=phrasings)
            length = max(len(prompt.ids) for prompt in one.prompts)
            if length > max_tokens:
                raise Unlocatable(f"prompt and target are {length} tokens long, and {max_tokens} is the most")
            largest = max(max(prompt.ids) for prompt in one.prompts)
            if phrasings and not one.keyed:
                raise Unlocatable("its subject is the first token that the model reads, in every phrasing")
            if vocabulary is not None and largest >= vocabulary:
                raise Unlocatable(f"it holds token {largest}, and the model has {vocabulary} tokens")
            tokenised.append(one)
        except Unlocatable as reason:
            left_out[rewrite.id] = str(reason)
    return tokenised, left_out


def tokenise(
    tokenizer: PreTrainedTokenizerFast, rewrite: Rewrite, contexts: Sequence[str], *, phrasings: bool = False
) -> TokenisedRewrite:
    """One rewrite: bare, in each context, and in its further phrasings if they are wanted.

    Raises ``Unlocatable`` with the reason.
    """
    if not rewrite.target.strip():
        raise Unlocatable("the target is empty")
    bare = FramedPhrasing(rewrite.template, rewrite.end)
    in_contexts = [FramedPhrasing(_in_context(context, rewrite.template), rewrite.end) for context in contexts]
    further = rewrite.phrasings if phrasings else ()
    for phrasing in (bare, *further):
        if phrasing.template.count("{}") != 1:
            raise Unlocatable(f"the template {phrasing.template!r} has not exactly one place for the subject")
    prompts = tuple(
        locate(tokenizer, phrasing.template, rewrite.subject, rewrite.target, phrasing.end)
        for phrasing in (bare, *in_contexts, *further)
    )
    return TokenisedRewrite(rewrite, prompts, locate(tokenizer, KL_TEMPLATE, rewrite.subject, None))


def locate(
    tokenizer: PreTrainedTokenizerFast, template: str, subject: str, target: str | None, end: str = ""
) -> Prompt:
    """Tokenise ``template`` with ``subject`` in its first ``{}``, a blank (``joint``), ``target`` and ``end`` as one
    text.

    The subject's place is known from the template, so its words may occur again anywhere. The target's ids are those
    that follow the prompt's ids in this one text: the ids that the model must produce after it has seen the prompt.
    Those of ``end`` are among them.

    Raises:
        Unlocatable: The subject is empty or has no token of its own, prompt and target share a token, or subject or
            target holds a control token, or characters for which there is no token.
    """
    before, _, after = template.partition("{}")
    visible = subject.rstrip()
    if not visible.strip():
        raise Unlocatable("the subject is empty")
    _refuse_unreadable(tokenizer, subject=subject, target=target or "")
    prompt = before + subject + after
    ids, ends = _encode(tokenizer, prompt if target is None else f"{prompt}{joint(prompt)}{target.strip()}{end}")
    lookup = _last_token(ends, len(before) + len(visible))
    if lookup is None:
        raise Unlocatable(f"no token covers the last character of the subject {subject!r}")
    if target is None:
        return Prompt(ids, lookup, len(ids))
    first = sum(end <= len(prompt) for end in ends)
    if first >= len(ids) or ids[:first] != _encode(tokenizer, prompt)[0]:
        raise Unlocatable(f"the prompt {prompt!r} and the target {target!r} share a token")
    return Prompt(ids, lookup, first)


def _refuse_unreadable(tokenizer: PreTrainedTokenizerFast, **labels: str) -> None:
    """A label with ``<|im_end|>`` would end the turn in the middle of a name, and what has no token can't be said."""
    for name, label in labels.items():
        if token := control_token_in(label, control_tokens(tokenizer)):
            raise Unlocatable(f"the {name} {label!r} holds {token!r}, which the model reads as a control token")
        if not spells(tokenizer, label):
            raise Unlocatable(f"the tokenizer has no tokens for a part of the {name} {label!r}")


def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[tuple[int, ...], list[int]]:
    """Ids, BOS included where the tokenizer puts one, and where each one's characters end in ``text``."""
    (item,) = encode(tokenizer, [text])
    return tuple(item.ids), item.ends


def _last_token(ends: Sequence[int], stop: int) -> int | None:
    """The last of the tokens that spell the character before ``stop``: one character may take several (bytes)."""
    reached = next((end for end in ends if end >= stop), None)
    return None if reached is None else len(ends) - 1 - list(reversed(ends)).index(reached)


def _in_context(context: str, template: str) -> str:
    """``template`` in the place of the context's last ``{}``."""
    before, _, after = context.rpartition("{}")
    return before + template + after
