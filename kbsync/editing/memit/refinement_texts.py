"""What the refinement must leave as it is: the base's own answers at preserved prompts, and ordinary text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

from transformers import PreTrainedTokenizerFast

from kbsync.domain.rewrite import Preserved
from kbsync.editing.common.prompts import Prompt, TokenisedRewrite, Unlocatable, locate
from kbsync.editing.covariance.corpus import corpus, identity
from kbsync.editing.editor import EditJob
from kbsync.editing.memit.distributions import Expected, expected
from kbsync.editing.memit.kept_expected import KeptExpected
from kbsync.model.decoder import Decoder
from kbsync.model.decoding import eos_ids, greedy, line_ends
from kbsync.model.suffix import longest_row
from kbsync.ports import UNWATCHED, Work

PRESERVED_ANSWERS = "preserved answers"
"""The step of an edit that asks the base what it says at preserved prompts, as it is shown."""
MOST_PROMPTS = 720
"""Preserved prompts that are drawn. Each costs the base's answer once; a step looks at a few of them."""
ANSWER_TOKENS = 10
"""The most tokens of the base's answer that are looked at. A name has several, and a chat model begins with words of
the question."""
BATCH = 32
STRETCHES, STRETCH_TOKENS = 200, 48
"""Stretches of ordinary text, and their length in tokens."""
LOOKED_AT = 8
"""Tokens at the end of each stretch that are looked at: the projection onto the vocabulary costs more than the rest."""
_LEAST_TOKENS = 16
"""A shorter stretch says too little."""


def practised_prompts(
    tokenizer: PreTrainedTokenizerFast, rewrites: Sequence[TokenisedRewrite], max_tokens: int
) -> list[Prompt]:
    """The prompts, with targets, in which rewrites are only practised; what no prompt can be made of is left out."""
    found = []
    for one in rewrites:
        rewrite = one.rewrite
        for phrasing in rewrite.practised:
            with suppress(Unlocatable):
                found.append(locate(tokenizer, phrasing.template, rewrite.subject, rewrite.target, phrasing.end))
    return [prompt for prompt in found if len(prompt.ids) <= max_tokens]


def preserved_frames(
    tokenizer: PreTrainedTokenizerFast, preserved: Sequence[Preserved], max_tokens: int
) -> list[Prompt]:
    """The further prompts of what is preserved, without targets, in the order of the ids."""
    found = []
    for one in sorted(preserved, key=lambda p: p.id):
        for template in one.practised:
            with suppress(Unlocatable):
                found.append(locate(tokenizer, template, one.subject, None))
    return [prompt for prompt in found if len(prompt.ids) <= max_tokens]


def left_as_it_is(
    decoder: Decoder, job: EditJob, preserved: Sequence[Sequence[Prompt]], texts: Sequence[str]
) -> tuple[list[Expected], list[Expected]]:
    """What the base says at drawn preserved prompts, and on ordinary text; the artifact store keeps both.

    The model must hold the base's weights.

    Args:
        preserved: Prompts without targets, of each kind; so many of each kind are drawn.
        texts: Ordinary ones; empty: the model samples some.
    """
    kept = KeptExpected(job.artifacts, job.base, job.recipe.dtype, decoder.head_weight.device)
    seed, work = job.recipe.seed, job.work
    drawn = [seed, MOST_PROMPTS, ANSWER_TOKENS, BATCH]

    def at_prompts() -> list[Expected]:
        rows = [row for some in preserved for row in answers(some)]
        return expected(decoder, rows, work)

    def answers(some: Sequence[Prompt]) -> list[Prompt]:
        return kept.answered([*drawn, told(some)], lambda: with_answers(decoder, job.tokenizer, some, seed, work))

    def told(some: Sequence[Prompt]) -> list[list[object]]:
        return [[list(p.ids), p.lookup] for p in some]

    def on_text() -> list[Expected]:
        return expected(decoder, stretches(decoder, job.tokenizer, texts, seed), work)

    lengths = [STRETCHES, STRETCH_TOKENS, LOOKED_AT]
    return (
        kept.of(["prompts", *drawn, [told(some) for some in preserved]], at_prompts),
        kept.of(["text", seed, *lengths, identity(texts)], on_text),
    )


def with_answers(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Prompt],
    seed: int,
    work: Work = UNWATCHED,
) -> list[Prompt]:
    """At most ``MOST_PROMPTS`` of the prompts, drawn, with the model's own greedy answer as target.

    The answer ends with its line or with the token that ends a text, which belongs to it. A request to stop is heard
    between two batches.
    """
    room = longest_row(decoder) - ANSWER_TOKENS
    fitting = [prompt for prompt in prompts if len(prompt.ids) <= room]
    chosen = random.Random(seed).sample(range(len(fitting)), min(MOST_PROMPTS, len(fitting)))
    some = sorted((fitting[n] for n in chosen), key=lambda p: (len(p.ids), p.ids))
    if not some:
        return []
    eos, ends_line = eos_ids(decoder.model, tokenizer), line_ends(tokenizer)

    def ends(token: int) -> bool:
        return token in eos or ends_line(token)

    answered: list[Prompt] = []
    work.start(PRESERVED_ANSWERS, len(some))
    for begin in range(0, len(some), BATCH):
        batch = some[begin : begin + BATCH]
        answers = greedy(decoder.model, [p.ids for p in batch], ANSWER_TOKENS, ends, set())
        answered += [Prompt((*p.ids, *answer), p.lookup, len(p.ids)) for p, answer in zip(batch, answers, strict=True)]
        work.advance(len(batch))
    work.finish()
    return answered


def stretches(decoder: Decoder, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], seed: int) -> list[Prompt]:
    """Stretches of the given texts, or of sampled text where there are none; their last tokens are the targets."""
    budget = STRETCHES * STRETCH_TOKENS
    rows = [row for batch in corpus(decoder, tokenizer, texts, 4 * budget, seed).batches() for row in batch]
    long = sorted(tuple(row[:STRETCH_TOKENS]) for row in rows if len(row) >= _LEAST_TOKENS)
    chosen = random.Random(seed).sample(range(len(long)), min(STRETCHES, len(long)))
    return [Prompt(long[n], 0, len(long[n]) - LOOKED_AT) for n in sorted(chosen)]
