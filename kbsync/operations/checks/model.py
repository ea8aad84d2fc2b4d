"""Checks of the base model: whether the recipe fits it, and whether what an edit needs of it is measured."""

from __future__ import annotations

from collections.abc import Iterable

from kbsync.bootstrap import App
from kbsync.domain.capacity import capacity_warning
from kbsync.domain.phrasing import PLAIN
from kbsync.operations.checks.doubt import Doubt
from kbsync.views.tuning import goodness

CHAT_ANSWER = 24
"""Tokens in which a chat model mostly comes to the name."""
BFLOAT16 = "bfloat16"
MUCH_FASTER = 1.5
"""Times as fast, from where on another dtype is worth a word."""


def model(app: App) -> str:
    """Load the model, and find the layers that the recipe edits."""
    from kbsync.model.decoder import discover

    decoder, recipe = discover(app.loaded.model), app.known_recipe
    if recipe is not None:
        decoder.edited_layers(recipe.layers)
    edited = f"recipe {recipe.name} edits {_listed(recipe.layers)}" if recipe else "no recipe yet"
    return (
        f"{app.loaded.reference}: {len(decoder.layers)} layers, width {decoder.hidden_size}, {decoder.dtype}, "
        f"{edited}; fingerprint {app.loaded.fingerprint[:12]}"
    )


def dtype(app: App) -> str:
    """What the model computes in, and how fast this machine multiplies in bfloat16 beside it."""
    import torch

    from kbsync.model.arithmetic import multiplication_seconds

    device, configured = app.loaded.model.device, app.settings.model.dtype
    float32, bfloat16 = (multiplication_seconds(d, device) for d in (torch.float32, torch.bfloat16))
    return dtype_told(configured, float32 / bfloat16)


def dtype_told(configured: str, times: float) -> str:
    """The same.

    Args:
        times: The time of a product in float32, in units of the same product's in bfloat16.

    Raises:
        Doubt: The model computes in bfloat16 on a machine that is slower in it.
    """
    if configured == BFLOAT16 and times < 1:
        raise Doubt(
            f"bfloat16, in which a product takes {1 / times:.1f} times as long here as in float32",
            'Set `dtype = "float32"` in [model], if the memory suffices; versions are then built and measured anew.',
        )
    if configured != BFLOAT16 and times >= MUCH_FASTER:
        return (
            f"{configured}; bfloat16 multiplies {times:.1f} times as fast here and takes half the memory of float32 "
            "(`[model] dtype`; another dtype is another base, whose versions are built and measured anew)"
        )
    return configured


def recipe(app: App) -> str:
    """How good the recipe is, and what more time would bring; or what the first sync will do to find one."""
    if app.configuration.recipe is not None:
        return f"{app.configuration.recipe.name}, as the configuration names it"
    found = app.recipes.shelf.read()
    if found is None:
        minutes = app.settings.tune.budget.total_seconds() / 60
        return (
            f"none yet: the first sync finds one, within about {minutes:g} minutes (tune.budget; "
            "`kbsync recipe tune --dry-run` foretells it)"
        )
    return f"{found.recipe.name}: {goodness(found.evidence)}" if found.evidence else found.recipe.name


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
    recipe = app.known_recipe
    if recipe is None:
        return "measured for the layers of the recipes that are tried, when one is searched for"
    layers = recipe.layers
    if app.settings.text.datasets and not (app.settings.state_dir / "texts").is_dir():
        return (
            f"the text is to be fetched from the hub; then the first edit measures {len(layers)} layers, which takes "
            "minutes"
        )
    statistics = app.statistics(recipe, app.corpus)
    missing = sorted(set(layers) - set(statistics.known()))
    if recipe.covariance_tokens < statistics.width:
        raise Doubt(
            f"a budget of {recipe.covariance_tokens} tokens for {statistics.width} dimensions: an edit has to add "
            "a ridge",
            "Raise covariance_tokens in the recipe.",
        )
    if missing:
        return f"not measured yet for layers {_listed(missing)}: the first edit does it, or `kbsync stats build`"
    return f"measured for layers {_listed(layers)}"


def capacity(app: App) -> str:
    """Whether the newest plan, which has the facts of the next version, holds more than the recipe was measured for."""
    recipe = app.known_recipe
    if recipe is None:
        return "foretold when a recipe is found"
    capacity = recipe.capacity
    if not capacity:
        return f"recipe {recipe.name} was not measured for it (`kbsync bench capacity`)"
    with app.ledger.read() as tx:
        newest = tx.newest_plan()
    facts = len(newest.plan.requests) if newest else 0
    if warning := capacity_warning(facts, capacity):
        raise Doubt(
            warning,
            "Watch fewer facts (`relations/`, `edit.max_facts`), or use a recipe or a model with more room.",
        )
    return f"{facts} facts in the newest plan, recipe {recipe.name} was measured to hold {capacity}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
