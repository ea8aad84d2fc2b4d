"""What an edit does to the model's language as a whole: perplexity, divergence, fluency, repetition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from kbsync.domain.fluency import ngram_entropy, repetition
from kbsync.domain.gate import Metric
from kbsync.ports import Perplexity
from kbsync.stages.evaluate.metrics import mean_metric
from kbsync.stages.evaluate.replies import Replies

TEXTUAL = frozenset({"fluency", "repetition"})
"""Figures of sampled texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageSample:
    """What one model made of running text."""

    perplexity: Perplexity | None
    """None where it was not asked for."""
    texts: Sequence[str]
    """Sampled texts; none where they were not asked for."""


def sample_language(
    replies: Replies, held_out: Sequence[str], beginnings: Sequence[str], only: Collection[str] | None
) -> LanguageSample:
    """Ask one model, whose weights must be in place.

    Args:
        replies: The model.
        held_out: Texts for the perplexity.
        beginnings: Prompts of the sampled texts.
        only: Names of the figures that are wanted (None: all).
    """
    textual = only is None or not TEXTUAL.isdisjoint(only)
    return LanguageSample(
        perplexity=replies.perplexity(held_out) if only is None or "perplexity" in only else None,
        texts=replies.texts(beginnings) if beginnings and textual else [],
    )


def language_metrics(
    edited: LanguageSample, base: LanguageSample, divergence: Sequence[float], before: Callable[[str], Metric | None]
) -> Iterator[Metric]:
    """Compare the edited model with the base, and with what its predecessor's evaluation measured.

    Args:
        edited: Of the edited model.
        base: Of the base, on the same prompts and texts.
        divergence: KL from the base after each neutral prompt, in nats.
        before: The predecessor's metric of a name. Perplexities are compared only where the base's was the same, since
            another one was measured on other texts.
    """
    if edited.perplexity and base.perplexity:
        value, base_value = edited.perplexity.value, base.perplexity.value
        known = before("perplexity")
        previous = known.value if known and known.base == base_value else None
        tokens = edited.perplexity.tokens
        yield Metric(name="perplexity", value=value, base=base_value, samples=tokens, previous=previous)
    pairs = [
        ("divergence", divergence, [0.0] * len(divergence)),
        ("fluency", [ngram_entropy(t) for t in edited.texts], [ngram_entropy(t) for t in base.texts]),
        ("repetition", [repetition(t) for t in edited.texts], [repetition(t) for t in base.texts]),
    ]
    for name, values, base_values in pairs:
        known = before(name)
        metric = mean_metric(name, values, base_values, previous=known.value if known else None)
        if metric is not None:
            yield metric
