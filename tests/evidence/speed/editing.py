"""Suites of the edit: target vectors, keys and insertion, and a rebuild."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import torch

from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.memit.memit import LAYERS
from kbsync.editing.memit.target_cache import TARGETS
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import Figure, at_most
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import Duel, Lap, lap
from tests.evidence.speed.limits import least_share
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Scratch, Workshop, changes

GROWTH = (10, 100, 1000)
COUNTED = 16
"""Facts whose operations are counted, which takes longer than doing them."""


def targets(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Time the search for target vectors z: seconds for each fact, at the same final loss."""
    duel = Duel()
    rounds = [_round(shop, size, number) for number in range(size.rounds)]
    for one in rounds:
        duel.baseline.append(Lap(*one["baseline"]))
        duel.ours.append(Lap(*one["ours"]))
    ours_losses, their_losses, differences = (
        [value for one in rounds for value in one[name]] for name in ("losses", "baseline_losses", "differences")
    )
    found = duel.figures("targets", "s a fact", 8)
    found += [
        Figure("targets.loss", fmean(ours_losses), "nats"),
        Figure("targets.baseline_loss", fmean(their_losses), "nats"),
    ]
    if differences:
        gap = abs(fmean(ours_losses) - fmean(their_losses)) / fmean(their_losses)
        found.append(at_most("targets.loss_difference", gap, "share", 0.02))
        found.append(Figure("targets.z_difference", max(differences), "of ‖z − h₀‖"))
    return found


def _round(shop: Workshop, size: SuiteSize, number: int) -> dict[str, Any]:
    """Search the facts of one round, and some of them the published way; every second round the latter goes first."""
    requests = facts(size.rounds * size.facts)[number * size.facts : (number + 1) * size.facts]
    tasks = _spread(shop.tasks(requests), size.baseline_facts)

    def published() -> dict[str, Any]:
        with shop.reference(shop.recipe) as reference, lap() as running:
            found = [reference.target(task) for task in tasks]
        return {"lap": [running.wall, running.cpu, len(tasks)], "z": [z.tolist() for z, _ in found],
                "losses": [loss for _, loss in found]}  # fmt: skip

    def ours() -> dict[str, Any]:
        made = shop.search(requests)
        own = [made.targets[task.id] for task in tasks]
        return {"lap": [made.laps[TARGETS].wall, made.laps[TARGETS].cpu, len(requests)],
                "z": [goal[0].tolist() for goal, _ in own], "losses": [loss for _, loss in own]}  # fmt: skip

    sides = {"baseline": published, "ours": ours}
    order = list(sides) if number % 2 == 0 else list(reversed(sides))
    made = {side: shop.parts.make(f"targets.{number}.{side}", sides[side]) for side in order}
    differences = []
    if not shop.sandwich:
        with shop.reference(shop.recipe) as reference:
            for task, mine, theirs in zip(tasks, made["ours"]["z"], made["baseline"]["z"], strict=True):
                origin = reference.seen(shop.layers[-1].module, task.prompts[0].ids, task.prompts[0].lookup)
                z, goal = torch.tensor(theirs), torch.tensor(mine)
                differences.append(float((goal - z).norm() / (z - origin).norm()))
    return {
        "baseline": made["baseline"]["lap"],
        "ours": made["ours"]["lap"],
        "losses": made["ours"]["losses"],
        "baseline_losses": made["baseline"]["losses"],
        "differences": differences,
    }


def _spread(tasks: list[TokenisedRewrite], count: int) -> list[TokenisedRewrite]:
    """``count`` of the tasks, at even distances, since tasks beside each other share a template and so a length."""
    return tasks[:: max(1, len(tasks) // count)][:count]


def keys(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Time keys and insertion of many facts over the recipe's layers, with known target vectors."""
    duel, recipe = Duel(), replace(shop.brief(), press_rounds=0)  # the published way has no press rounds
    requests = facts(size.inserted)
    scratch = Scratch(shop.session.artifacts)
    first = shop.edit(requests, recipe, scratch)
    tasks = shop.tasks(requests)
    goals = [first.targets[task.id][0][-1] for task in tasks]
    moments = [shop.covariances.matrices[layer.index] for layer in shop.layers]
    wanted: list[object] = []

    def baseline() -> Lap:
        with shop.reference(recipe) as reference, lap() as running:
            wanted[:] = reference.spread(tasks, goals, moments)
        return Lap(running.wall, running.cpu)

    def ours() -> Lap:
        return shop.edit(requests, recipe, scratch).laps[LAYERS]

    for _ in range(size.rounds):
        duel.round(baseline, ours)
    found = duel.figures("keys", f"s for {size.inserted} facts over {len(shop.layers)} layers", 10)
    if not shop.sandwich and isinstance(first.edit.delta, FactorDelta):
        by_name = dict(zip(first.edit.delta.parameters, changes(first.edit.delta), strict=True))
        gaps = [
            float((by_name[layer.down.name] - plain).norm() / plain.norm())  # type: ignore[operator, attr-defined]
            for layer, plain in zip(shop.layers, wanted, strict=True)
        ]
        found.append(at_most("keys.difference", max(gaps), "of ‖Δ‖", 1e-3))
    return found


def rebuild(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """A rebuild with many stored facts and a few new ones, as a share of editing all of them from nothing.

    Target vectors don't depend on each other, so from nothing they take the seconds a fact of ``facts`` of them,
    searched together (the first round of ``targets``), times the number. The same for the published search, whose
    insertion is left out. All of them write by the closed form: a refinement, where the recipe has one, practises every
    fact anew in any rebuild, and is not part of it.
    """
    requests = facts(size.stored + size.new)
    first = _round(shop, size, 0)
    a_fact, published = (Lap(*first[side]).per_item().wall for side in ("ours", "baseline"))
    searched = shop.parts.make("rebuild.new", lambda: shop.search(requests[-size.new :]).laps[TARGETS].wall)

    def insert() -> float:
        scratch = Scratch(shop.session.artifacts, lasting=True)
        shop.edit(requests, shop.brief(), scratch)
        with lap() as running:
            shop.edit(requests, shop.brief(), scratch)
        return running.wall

    def least() -> float:
        return least_share(shop, min(COUNTED, size.facts))

    again = shop.parts.make("rebuild.insertion", insert)
    anew, taken = again + a_fact * len(requests), again + searched
    whole = published * len(requests)
    return [
        at_most("rebuild.share", taken / anew, "share", 0.08),
        at_most("rebuild.share_of_published", taken / whole, "share", 0.05),
        Figure(
            "rebuild.published_seconds",
            whole,
            f"s, the published search alone, at the s a fact of {first['baseline'][2]}",
        ),
        Figure(
            "rebuild.least_share", shop.parts.make("rebuild.least", least), "of the operations: no rebuild takes less"
        ),
        Figure("rebuild.seconds", taken, f"s for {size.stored} + {size.new} facts"),
        Figure("rebuild.insertion_seconds", again, "s"),
        Figure("rebuild.from_nothing_seconds", anew, f"s, from the seconds a fact of {size.facts}"),
    ]


def growth(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Seconds of the layers by the number of facts, beside those of their target vectors."""
    a_fact = Lap(*_round(shop, size, 0)["ours"]).per_item().wall
    requests, scratch = facts(size.stored + size.new), Scratch(shop.session.artifacts, lasting=True)
    grown: list[Figure] = []
    for count in (n for n in GROWTH if n <= len(requests)):

        def insert(count: int = count) -> float:
            return shop.edit(requests[:count], shop.brief(), scratch).laps[LAYERS].wall

        grown += [
            Figure(f"growth.{count}.insertion_seconds", shop.parts.make(f"growth.{count}", insert), "s"),
            Figure(f"growth.{count}.target_seconds", a_fact * count, f"s, at the s a fact of {size.facts}"),
        ]
    return grown


def nothing(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """An edit from nothing but the key covariance: its seconds, and the share of each step."""

    def edit() -> dict[str, Any]:
        with lap() as running:
            made = shop.edit(facts(size.inserted), shop.recipe, Scratch(shop.session.artifacts))
        return {"seconds": running.wall, "steps": {name: one.wall for name, one in made.laps.items()}}

    made = shop.parts.make("nothing", edit)
    rest = made["seconds"] - sum(made["steps"].values())
    return [
        Figure("nothing.seconds", made["seconds"], f"s for {size.inserted} facts from nothing but the covariance"),
        *(
            Figure(f"nothing.share.{name}", seconds / made["seconds"], "share")
            for name, seconds in {**made["steps"], "rest": rest}.items()
        ),
    ]
