"""Target vectors from the artifact store, and the newly found ones into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.editor import EditJob
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.target_pool import ROWS_PER_STEP, Target
from kbsync.editing.memit.target_tasks import (
    TARGET_TASKS,
    TargetWorker,
    found_in,
    loaded_target,
    shared_by_all,
    task_of,
)
from kbsync.editing.memit.targets import WINDOW, batches, groups
from kbsync.ports import InProcessExecutor

FORMAT = 2
"""Of what is stored; part of each key."""
KIND = "targets"
TARGETS = "targets"
"""The step of an edit that searches target vectors, as it is shown."""
NOT_FINITE = "the loss of its target vector is not finite"


@dataclass(frozen=True, slots=True)
class FoundTargets:
    """What ``TargetCache.find`` found, by rewrite id."""

    targets: dict[str, Target]
    hashes: dict[str, str]
    """SHA-256 of each target as it is stored."""
    failed: dict[str, str]
    """Why a rewrite has no target."""
    reused: int
    """How many were stored before."""


class TargetCache:
    """Target vectors by a hash of every input of their search. Other facts and λ are not in it: they don't shape z."""

    def __init__(self, insertion: Insertion, job: EditJob, window: int = WINDOW) -> None:
        """``window``: facts that are searched at once (``search``)."""
        self._insertion, self._job, self._window = insertion, job, window
        self._in_process = InProcessExecutor(TargetWorker(insertion.decoder, job.tokenizer))

    def find(self, rewrites: Sequence[TokenisedRewrite], weights: str = "", *, announce: bool = True) -> FoundTargets:
        """Target vectors on the weights that are in place.

        New ones are stored as they are found, so that a stop loses at most those that are being searched. Only those
        of the base are searched by other workers: no other weights are in place there.

        Args:
            weights: Hash of the weights in place; empty: the base's.
            announce: Show the search as a step of its own.
        """
        artifacts, work = self._job.artifacts, self._job.work
        beside = _beside(rewrites) if self._job.recipe.phrasings == "all" else {}
        keys = {r.id: self._key(r, weights, beside.get(r.id, ())) for r in rewrites}
        blobs = {r.id: artifacts.get(KIND, keys[r.id]) for r in rewrites}
        lacking = {r.rewrite.search_id for r in rewrites if blobs[r.id] is None}
        missing = [r for r in rewrites if not lacking.isdisjoint([r.rewrite.search_id, *beside.get(r.id, ())])]
        if announce:
            work.start(TARGETS, len(missing))
        for key, blob in self._search(missing, weights):
            if blob:
                artifacts.put(KIND, keys[key], blob)
                blobs[key] = blob
            if announce:
                work.advance()
        reused = len(rewrites) - len(missing)
        if announce:
            work.finish(f"{reused} were known")
        stored = {i: blob for i, blob in blobs.items() if blob is not None}
        return FoundTargets(
            targets={i: loaded_target(blob) for i, blob in stored.items()},
            hashes={i: hashlib.sha256(blob).hexdigest() for i, blob in stored.items()},
            failed={i: NOT_FINITE for i in blobs if i not in stored},
            reused=reused,
        )

    def _search(self, rewrites: Sequence[TokenisedRewrite], weights: str) -> Iterator[tuple[str, bytes]]:
        """Each rewrite's id with its target as it is stored; empty where that is not finite."""
        job = self._job
        executor = self._in_process if weights or job.executor is None else job.executor
        shared = shared_by_all(self._insertion, job.recipe, job.contexts, self._window)
        tasks = [task_of(batch) for batch in batches(rewrites, job.recipe, self._window)]
        return (found_in(part.data) for part in executor.map(TARGET_TASKS, shared, tasks, job.work))

    def _key(self, rewrite: TokenisedRewrite, weights: str, beside: Sequence[str] = ()) -> str:
        """The same for every algorithm that searches the same vector.

        ``beside``: search ids of the facts that share its δ.
        """
        recipe = self._job.recipe
        steps: list[float | str] = [recipe.clamp, recipe.steps, recipe.learning_rate, recipe.relative_step]
        loss = [recipe.weight_decay, recipe.kl_weight, recipe.loss_threshold]
        if recipe.token_threshold is not None:
            loss.append(recipe.token_threshold)
        if recipe.optimiser != "adam":
            steps.append(recipe.optimiser)
        sites = sorted(recipe.layers)[-self._insertion.sites :]
        inputs = [self._insertion.name, sites, recipe.dtype, list(self._job.contexts), steps, loss]
        model = [self._job.base, weights] if weights else [self._job.base]
        further = [["all", ROWS_PER_STEP, *beside]] if recipe.phrasings == "all" else []
        if recipe.search_prompts:
            further.append([str(recipe.search_prompts)])
        if recipe.phrasings == "all" and len(rewrite.keyed) < len(rewrite.prompts):
            further.append(["keyed"])
        return content_hash(["target", FORMAT, *model, rewrite.rewrite.search_id, inputs, *further])


def _beside(rewrites: Sequence[TokenisedRewrite]) -> dict[str, list[str]]:
    """The search ids of the facts that share each rewrite's δ, by its own id."""
    return {one.id: [r.rewrite.search_id for r in group if r is not one] for group in groups(rewrites) for one in group}
