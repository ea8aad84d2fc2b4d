"""Target vectors from the artifact store, and the new ones into it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save

from kbsync.domain.canonical import content_hash
from kbsync.domain.recipe import Recipe
from kbsync.editing.editor import Job
from kbsync.editing.memit.head import Head
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.targets import Target, search
from kbsync.editing.subject import Task
from kbsync.ports import ArtifactStore

TARGET_FORMAT = 2
NOT_FINITE = "the loss of its target vector is not finite"
TARGETS = "targets"
"""The step of an edit that searches target vectors."""


@dataclass(frozen=True, slots=True)
class Found:
    """``targets`` and content ``hashes`` by request id; ``lost``: why a request has none; ``reused``: how many were
    there before."""

    targets: dict[str, Target]
    hashes: dict[str, str]
    lost: dict[str, str]
    reused: int


class TargetShelf:
    """Target vectors under a hash of all that they depend on, and of nothing else: other facts and λ are not in it."""

    def __init__(self, artifacts: ArtifactStore, base: str, place: Insertion, job: Job) -> None:
        self._artifacts, self._base, self._place, self._job = artifacts, base, place, job
        self._head = Head(place.decoder)

    def find(self, tasks: Sequence[Task], weights: str = "", *, announce: bool = True) -> Found:
        """Target vectors on the weights in place, whose hash is ``weights`` (empty: the base's).

        New ones are stored as they are found, so that a stop loses those in hand at most. ``announce``: show the step.
        """
        keys = {t.request.id: self._key(t, weights) for t in tasks}
        blobs = {t.request.id: self._artifacts.get("targets", keys[t.request.id]) for t in tasks}
        missing = [t for t in tasks if blobs[t.request.id] is None]
        work = self._job.work
        if announce:
            work.start(TARGETS, len(missing))
        # A lease is renewed, and a stop is heard, before each step.
        for task, target in search(missing, self._job.recipe, self._place, self._head, work.checkpoint):
            if target is not None:
                blob = save({"goal": target.goal, "loss": torch.tensor(target.loss, dtype=torch.float64)})
                self._artifacts.put("targets", keys[task.request.id], blob)
                blobs[task.request.id] = blob
            if announce:
                work.advance()
        reused = len(tasks) - len(missing)
        if announce:
            work.finish(f"{reused} were known")
        found = {i: blob for i, blob in blobs.items() if blob is not None}
        tensors = {i: load(blob) for i, blob in found.items()}
        return Found(
            targets={i: Target(t["goal"], float(t["loss"])) for i, t in tensors.items()},
            hashes={i: hashlib.sha256(blob).hexdigest() for i, blob in found.items()},
            lost={i: NOT_FINITE for i in blobs if i not in found},
            reused=reused,
        )

    def _key(self, task: Task, weights: str) -> str:
        """The same for every algorithm that searches the same vector; ``weights`` counts where it is not the base's."""
        recipe: Recipe = self._job.recipe
        search: list[float | str] = [recipe.clamp, recipe.steps, recipe.learning_rate, recipe.relative_step]
        loss = [recipe.weight_decay, recipe.kl_weight, recipe.loss_threshold]
        if recipe.token_threshold is not None:
            loss.append(recipe.token_threshold)
        if recipe.optimiser != "adam":
            search.append(recipe.optimiser)
        sites = sorted(recipe.layers)[-self._place.sites :]
        what = [self._place.name, sites, recipe.dtype, list(self._job.prefixes), search, loss]
        on = [self._base, weights] if weights else [self._base]
        return content_hash(["target", TARGET_FORMAT, *on, task.request.id, what])
