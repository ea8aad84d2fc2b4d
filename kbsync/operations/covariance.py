"""The key covariance as a piece of work of its own: measured ahead of the first edit, and told about."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kbsync.bootstrap import App
from kbsync.domain.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStats:
    """``width``: the keys' dimension d; ``tokens``: keys that were counted (null: not measured yet); ``known``: stored
    before; ``rank_possible``: at least d keys were counted, so the matrix can have full rank."""

    layer: int
    width: int
    tokens: int | None
    known: bool
    rank_possible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsView:
    """``model``: fingerprint of weights, tokenizer and dtype; ``source``: ``text`` or ``model`` (it sampled);
    ``fingerprint``: of the stored matrices (null on a dry run); ``bytes``: their size; ``used_by_edits``: the
    configured recipe and [text] ask for exactly these."""

    model: str
    source: str
    texts: int
    budget: int
    layers: tuple[LayerStats, ...]
    fingerprint: str | None
    bytes: int
    seconds: float
    used_by_edits: bool


def build(app: App, recipe: Recipe, *, as_configured: bool, anew: bool = False, dry_run: bool = False) -> StatsView:
    """Measure what is missing (``anew``: everything); ``dry_run`` only looks.

    ``as_configured``: the application has the text and the recipe of the configuration files, and no others.
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
        found = statistics.measure(app.work)
        tokens, fingerprint = found.tokens, found.fingerprint
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
        used_by_edits=as_configured and _covers(recipe, app.recipe),
    )


def _covers(mine: Recipe, theirs: Recipe) -> bool:
    """Whether all that an edit with ``theirs`` asks for is measured for ``mine``."""
    settings = ("covariance_tokens", "seed", "dtype")
    return set(theirs.layers) <= set(mine.layers) and all(getattr(mine, n) == getattr(theirs, n) for n in settings)
