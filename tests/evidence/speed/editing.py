"""Suites of the edit: target vectors, keys and insertion, and a rebuild."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

from torch import Tensor

from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.memit.memit import LAYERS
from kbsync.editing.memit.target_cache import TARGETS
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import Figure, at_most
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import Duel, Lap, lap
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Made, Scratch, Workshop, changes

GROWTH = (10, 100, 1000)


def targets(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Time the search for target vectors z: seconds for each fact, at the same final loss."""
    duel, recipe = Duel(), shop.recipe
    ours_losses, their_losses, differences = [], [], []
    listed = facts(size.rounds * size.facts)
    for r in range(size.rounds):
        requests = listed[r * size.facts : (r + 1) * size.facts]
        tasks = _spread(shop.tasks(requests), size.baseline_facts)
        made: list[Made] = []
        plain: list[tuple[Tensor, float]] = []

        def baseline(tasks=tasks, plain=plain) -> Lap:  # type: ignore[no-untyped-def]
            with shop.reference(recipe) as reference, lap() as running:
                plain.extend(reference.target(task) for task in tasks)
            return Lap(running.wall, running.cpu, len(tasks))

        def ours(requests=requests, made=made) -> Lap:  # type: ignore[no-untyped-def]
            made.append(shop.edit(requests, recipe, Scratch(shop.session.artifacts)))
            found = made[0].laps[TARGETS]
            return Lap(found.wall, found.cpu, len(requests))

        duel.round(baseline, ours)
        for task, (z, loss) in zip(tasks, plain, strict=True):
            goal, own_loss = made[0].targets[task.id]
            their_losses.append(loss)
            ours_losses.append(own_loss)
            if not shop.sandwich:
                with shop.reference(recipe) as reference:
                    origin = reference.seen(shop.layers[-1].module, task.prompts[0].ids, task.prompts[0].lookup)
                differences.append(float((goal[0] - z).norm() / (z - origin).norm()))
    found = duel.figures("targets", "s a fact", 10)
    found += [
        Figure("targets.loss", fmean(ours_losses), "nats"),
        Figure("targets.baseline_loss", fmean(their_losses), "nats"),
    ]
    if differences:
        gap = abs(fmean(ours_losses) - fmean(their_losses)) / fmean(their_losses)
        found.append(at_most("targets.loss_difference", gap, "share", 0.02))
        found.append(Figure("targets.z_difference", max(differences), "of ‖z − h₀‖"))
    return found


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
    searched together, times the number. The same for the published search, whose insertion is left out.
    """
    requests = facts(size.stored + size.new)
    some = min(size.facts, len(requests))
    a_fact = shop.edit(requests[:some], shop.recipe, Scratch(shop.session.artifacts)).laps[TARGETS].wall / some
    searched = shop.edit(requests[-size.new :], shop.recipe, Scratch(shop.session.artifacts)).laps[TARGETS]
    brief, scratch = shop.brief(), Scratch(shop.session.artifacts)
    shop.edit(requests, brief, scratch)
    with lap() as again:
        shop.edit(requests, brief, scratch)
    grown: list[Figure] = []
    for count in (n for n in GROWTH if n <= len(requests)):
        layers = shop.edit(requests[:count], brief, scratch).laps[LAYERS]
        grown += [
            Figure(f"growth.{count}.insertion_seconds", layers.wall, "s"),
            Figure(f"growth.{count}.target_seconds", a_fact * count, f"s, at the s a fact of {some}"),
        ]
    anew = again.wall + a_fact * len(requests)
    share = (again.wall + searched.wall) / anew
    few = _spread(shop.tasks(requests), size.baseline_facts)
    with shop.reference(shop.recipe) as reference, lap() as theirs:
        for task in few:
            reference.target(task)
    published = theirs.wall / len(few) * len(requests)
    return [
        at_most("rebuild.share", share, "share", 0.05),
        at_most("rebuild.share_of_published", (again.wall + searched.wall) / published, "share", 0.05),
        Figure("rebuild.published_seconds", published, f"s, the published search alone, at the s a fact of {len(few)}"),
        Figure("rebuild.seconds", again.wall + searched.wall, f"s for {size.stored} + {size.new} facts"),
        Figure("rebuild.insertion_seconds", again.wall, "s"),
        Figure("rebuild.from_nothing_seconds", anew, f"s, from the seconds a fact of {some}"),
        *grown,
    ]
