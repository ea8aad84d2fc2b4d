"""Checks of the base model: whether the recipe fits it, and whether what an edit needs of it is measured."""

from __future__ import annotations

from collections.abc import Iterable

from kbsync.bootstrap import App
from kbsync.domain.phrasing import PLAIN
from kbsync.domain.plan import capacity_warning
from kbsync.operations.checks.doubt import Doubt

CHAT_ANSWER = 24
"""Tokens in which a chat model mostly comes to the name."""


def model(app: App) -> str:
    """Load the model, and find the layers that the recipe edits."""
    from kbsync.model.decoder import discover

    decoder = discover(app.loaded.model)
    decoder.edited_layers(app.recipe.layers)
    return (
        f"{app.loaded.reference}: {len(decoder.layers)} layers, width {decoder.hidden_size}, {decoder.dtype}, "
        f"recipe {app.recipe.name} edits {_listed(app.recipe.layers)}; "
        f"fingerprint {app.loaded.fingerprint[:12]}"
    )


def chat(app: App) -> str:
    """How the model is asked, and whether its answers have room for the words with which a chat model begins."""
    if app.frames == PLAIN:
        return "asked by plain completion"
    tokens = app.settings.model.base_answer_tokens
    if tokens < CHAT_ANSWER:
        raise Doubt(
            f"asked through its chat template, and answers end after {tokens} tokens: such a model mostly begins with "
            "words of the question",
            f"Set `base_answer_tokens = {CHAT_ANSWER}` in [model].",
        )
    return "asked through its chat template"


def covariance(app: App) -> str:
    """Whether the key covariance of this model, recipe and text is measured."""
    layers = app.recipe.layers
    if app.settings.text.datasets and not (app.settings.state_dir / "texts").is_dir():
        return (
            f"the text is to be fetched from the hub; then the first edit measures {len(layers)} layers, which takes "
            "minutes"
        )
    statistics = app.statistics(app.recipe, app.corpus)
    missing = sorted(set(layers) - set(statistics.known()))
    if app.recipe.covariance_tokens < statistics.width:
        raise Doubt(
            f"a budget of {app.recipe.covariance_tokens} tokens for {statistics.width} dimensions: an edit has to add "
            "a ridge",
            "Raise covariance_tokens in the recipe.",
        )
    if missing:
        return f"not measured yet for layers {_listed(missing)}: the first edit does it, or `kbsync stats build`"
    return f"measured for layers {_listed(layers)}"


def capacity(app: App) -> str:
    """Whether the newest plan, which has the facts of the next version, holds more than the recipe was measured for."""
    capacity = app.recipe.capacity
    if not capacity:
        return f"recipe {app.recipe.name} was not measured for it (`kbsync bench capacity`)"
    with app.ledger.read() as tx:
        newest = tx.newest_plan()
    facts = len(newest.plan.requests) if newest else 0
    if warning := capacity_warning(facts, capacity):
        raise Doubt(
            warning,
            "Watch fewer facts (`relations/`, `edit.max_facts`), or use a recipe or a model with more room.",
        )
    return f"{facts} facts in the newest plan, recipe {app.recipe.name} was measured to hold {capacity}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
