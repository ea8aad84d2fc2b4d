"""Target vectors from the artifact store, and the newly found ones into it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.editor import EditJob
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.target_pool import ROWS_PER_STEP, Target
from kbsync.editing.memit.targets import WINDOW, groups, search

FORMAT = 2
"""Of what is stored; part of each key."""
KIND = "targets"
TARGETS = "targets"
"""The step of an edit that searches target vectors, as it is shown."""
NOT_FINITE = "the loss of its target vector is not finite"
_Z, _LOSS = "goal", "loss"
"""Names of the stored tensors. The stored bytes' hashes stand in manifests, so the names never change."""


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
        self._head = VocabularyHead(insertion.decoder)

    def find(self, rewrites: Sequence[TokenisedRewrite], weights: str = "", *, announce: bool = True) -> FoundTargets:
        """Target vectors on the weights that are in place.

        New ones are stored as they are found, so that a stop loses at most those that are being searched.

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
        recipe = self._job.recipe
        for rewrite, target in search(missing, recipe, self._insertion, self._head, work.checkpoint, self._window):
            if target is not None:
                blob = save({_Z: _stored(target.z), _LOSS: torch.tensor(target.loss, dtype=torch.float64)})
                artifacts.put(KIND, keys[rewrite.id], blob)
                blobs[rewrite.id] = blob
            if announce:
                work.advance()
        reused = len(rewrites) - len(missing)
        if announce:
            work.finish(f"{reused} were known")
        stored = {i: blob for i, blob in blobs.items() if blob is not None}
        tensors = {i: load(blob) for i, blob in stored.items()}
        return FoundTargets(
            targets={i: Target(_loaded(t[_Z]), float(t[_LOSS])) for i, t in tensors.items()},
            hashes={i: hashlib.sha256(blob).hexdigest() for i, blob in stored.items()},
            failed={i: NOT_FINITE for i in blobs if i not in stored},
            reused=reused,
        )

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
        return content_hash(["target", FORMAT, *model, rewrite.rewrite.search_id, inputs, *further])


def _beside(rewrites: Sequence[TokenisedRewrite]) -> dict[str, list[str]]:
    """The search ids of the facts that share each rewrite's δ, by its own id."""
    return {one.id: [r.rewrite.search_id for r in group if r is not one] for group in groups(rewrites) for one in group}


def _stored(z: Tensor) -> Tensor:
    """z as it is stored: (sites, d) for the bare prompt alone, as it always was."""
    return z[0] if len(z) == 1 else z


def _loaded(z: Tensor) -> Tensor:
    return z[None] if z.ndim == 2 else z
