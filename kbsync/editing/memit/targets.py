"""Target vectors z: what must stand at the subject's last token so that the prompt is answered with the target.

Source: MEMIT, section 4.2.1 and equation 16. Facts are independent of each other, so many are optimised in one batch;
each has its own state, and leaves the batch when it has converged. In a search of more facts than ``window``, another
takes its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.target_pool import Group, Target, TargetPool

WINDOW = 56
"""Groups that are searched at once, so that they share the products with the vocabulary."""
POOL_WINDOWS = 2
"""Windows of groups whose prompts are made ready together."""


def search(
    rewrites: Sequence[TokenisedRewrite],
    recipe: Recipe,
    insertion: Insertion,
    head: VocabularyHead,
    checkpoint: Callable[[], None] = lambda: None,
    window: int = WINDOW,
) -> Iterator[tuple[TokenisedRewrite, Target | None]]:
    """Search the target vector of each rewrite. The model must be frozen (``hooks.frozen``).

    Args:
        checkpoint: Called before each step, of which one may take seconds; what it raises ends the search.
        window: Groups that are searched at once; more take more memory.

    Yields:
        Each rewrite with its target as soon as that is found; None for a fact whose loss is not finite, which stops no
        other fact.
    """
    waiting = deque(_pools(_grouped(rewrites, recipe), POOL_WINDOWS * window))
    running: list[TargetPool] = []
    while waiting or running:
        checkpoint()
        room = window - sum(len(pool.active) for pool in running)
        for pool in running:
            room -= pool.admit(room)
        while waiting and room >= max(1, window // 4):
            running.append(TargetPool(waiting.popleft(), recipe, insertion, head))
            room -= running[-1].admit(room)
        yield from _step(running, head, recipe)
        running = [pool for pool in running if not pool.done]


def batches(rewrites: Sequence[TokenisedRewrite], recipe: Recipe, window: int = WINDOW) -> list[list[TokenisedRewrite]]:
    """Cut the facts into batches that are searched apart, so that several workers can do them.

    The cut depends on the facts alone. All batches but the last have ``window`` groups, so a search that is taken up
    again after some batches were stored cuts the others as before.
    """
    pools = _pools(_grouped(rewrites, recipe), window)
    return [[rewrite for group in pool for rewrite in group] for pool in pools]


def _grouped(rewrites: Sequence[TokenisedRewrite], recipe: Recipe) -> list[Group]:
    return groups(rewrites) if recipe.phrasings == "all" else [(r,) for r in rewrites]


def groups(rewrites: Sequence[TokenisedRewrite]) -> list[Group]:
    """Facts that share a key, together: they get one δ that says all of them, instead of one each that the solve would
    have to average. Where a prompt begins with the subject, everything that is said of that subject has one key."""
    members: dict[tuple[int, ...], list[TokenisedRewrite]] = {}
    for rewrite in sorted(rewrites, key=lambda r: r.id):
        keys = {prompt.key_ids for prompt in rewrite.keyed}
        joined = {id(members[key]): members[key] for key in keys if key in members}
        group = [*(one for others in joined.values() for one in others), rewrite]
        for one in group:
            members.update(dict.fromkeys((p.key_ids for p in one.keyed), group))
    distinct = {id(group): group for group in members.values()}
    return [tuple(sorted(group, key=lambda r: r.id)) for group in distinct.values()]


def _pools(grouped: Sequence[Group], size: int) -> Iterator[list[Group]]:
    """Groups with suffixes of like length together: padding costs as much as tokens."""
    ordered = sorted(grouped, key=lambda g: (max(r.suffix_length for r in g), g[0].id))
    return (ordered[begin : begin + size] for begin in range(0, len(ordered), size))


def _step(
    pools: Sequence[TargetPool], head: VocabularyHead, recipe: Recipe
) -> Iterator[tuple[TokenisedRewrite, Target | None]]:
    """One step of all pools, which share their products with the vocabulary."""
    passes = [pool.forward() for pool in pools]
    states = [*(p.at_targets for p in passes), *(p.at_kl for p in passes)]
    nll, kl, gradients = head.nll_and_kl(
        torch.cat([part.detach() for part in states]),
        torch.cat([pool.placed.token for pool in pools]),
        torch.cat([pool.placed.weight for pool in pools]),
        [before for pool in pools for before in pool.kl_before],
        recipe.kl_weight,
    )
    gradient_parts = torch.split(gradients, [len(part) for part in states])
    nll_parts = torch.split(nll, [len(p.at_targets) for p in passes])
    kl_parts = torch.split(kl, [len(p.at_kl) for p in passes])
    for n, (pool, passed) in enumerate(zip(pools, passes, strict=True)):
        yield from pool.settle(passed, nll_parts[n], kl_parts[n], gradient_parts[n], gradient_parts[len(pools) + n])
