"""Measures the key covariance ahead of the first edit."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kbsync.bootstrap import App
from kbsync.domain.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStats:
    """The covariance of one layer's keys."""

    layer: int
    width: int
    """The keys' dimension d."""
    tokens: int | None
    """Number of keys that were counted; null where it is not measured yet."""
    known: bool
    """It was stored before."""
    rank_possible: bool
    """At least d keys were counted, so the matrix can have full rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsView:
    """The covariances of all layers that a recipe edits."""

    model: str
    """Fingerprint of weights, tokenizer and dtype."""
    source: str
    """`text`, or `model` where the model sampled the text."""
    texts: int
    """Number of texts."""
    budget: int
    """Number of tokens to count."""
    layers: tuple[LayerStats, ...]
    fingerprint: str | None
    """Of the stored matrices; null on a dry run."""
    bytes: int
    """Their size."""
    seconds: float
    used_by_edits: bool
    """The configured recipe and [text] ask for exactly these."""


def build(app: App, recipe: Recipe, *, as_configured: bool, anew: bool = False, dry_run: bool = False) -> StatsView:
    """Measure the covariances that are missing.

    Args:
        as_configured: The application has the text and the recipe of the configuration files, and no others.
        anew: Measure those that are stored, too.
        dry_run: Say what is missing, and measure nothing.
    """
    began = time.monotonic()
    texts = app.corpus
    statistics = app.statistics(recipe, texts)
    known, width = statistics.known(), statistics.width
    tokens: dict[int, int] = {}
    fingerprint = None
    if not dry_run:
        if anew:
            statistics.forget()
            known = []
        measured = statistics.measure(app.work)
        tokens, fingerprint = measured.tokens, measured.fingerprint
    layers = tuple(
        LayerStats(
            layer=layer,
            width=width,
            tokens=tokens.get(layer),
            known=layer in known,
            rank_possible=tokens.get(layer, recipe.covariance_tokens) >= width,
        )
        for layer in sorted(recipe.layers)
    )
    return StatsView(
        model=app.loaded.fingerprint,
        source="text" if texts else "model",
        texts=len(texts),
        budget=recipe.covariance_tokens,
        layers=layers,
        fingerprint=fingerprint,
        bytes=8 * width**2 * len(layers),
        seconds=round(time.monotonic() - began, 3),
        used_by_edits=as_configured and app.known_recipe is not None and _covers(recipe, app.known_recipe),
    )


def _covers(measured: Recipe, edited: Recipe) -> bool:
    """Whether all that an edit with the recipe ``edited`` asks for is measured for the other recipe."""
    settings = ("covariance_tokens", "seed", "dtype")
    alike = all(getattr(measured, name) == getattr(edited, name) for name in settings)
    return alike and set(edited.layers) <= set(measured.layers)
