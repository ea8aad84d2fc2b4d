"""MEMIT: many facts written into a few MLP down projections at once (Meng et al., ICLR 2023, algorithm 1)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack

import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import EditReport, LayerReport
from kbsync.editing.contexts import contexts
from kbsync.editing.covariance import covariances
from kbsync.editing.guards import Still, guard_prompts
from kbsync.editing.head import Head
from kbsync.editing.insertion import Insertion, insertion
from kbsync.editing.keys import Climb
from kbsync.editing.solve import Factor, factorise, solve
from kbsync.editing.subject import Task, tokenise
from kbsync.editing.targets import Target, batches, optimise
from kbsync.model.decoder import DecoderLayer, discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import frozen
from kbsync.model.suffix import longest
from kbsync.ports import ArtifactStore, Edit, Editor, Progress

TARGET_FORMAT = 2


class MemitEditor(Editor):
    """Writes facts into ``model``, which is left bit for bit as it was.

    ``base`` is its fingerprint; ``texts`` the covariance corpus (empty: text that the model samples). Target vectors and
    covariances are kept in ``artifacts``. Raises ``ModelError`` for a model whose structure can't be edited.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        base: str,
        artifacts: ArtifactStore,
        texts: Sequence[str] = (),
    ) -> None:
        self._decoder = discover(model)
        self._tokenizer = tokenizer
        self._base = base
        self._artifacts = artifacts
        self._texts = tuple(texts)

    def edit(
        self, requests: Sequence[EditRequest], recipe: Recipe, progress: Progress, *, guards: Sequence[Guard] = ()
    ) -> Edit:
        """A delta that holds all requests but those left out by name; the order of requests and of guards does not matter."""
        started = time.monotonic()
        self._check(recipe)
        limit = longest(self._decoder)
        layers = self._decoder.edited_layers(recipe.layers)
        with frozen(self._decoder.model):
            prefixes = contexts(self._decoder, self._tokenizer, recipe, self._base, self._artifacts)
            distinct = {r.id: r for r in requests}
            tasks, left_out = tokenise(self._tokenizer, [distinct[i] for i in sorted(distinct)], prefixes, limit)
            if not tasks:
                raise EditError(
                    f"None of the {len(distinct)} requests can be edited: {'; '.join(left_out.values()) or 'no request'}.",
                    next_step="Correct the relations' templates or labels, or make a plan with facts in it.",
                )
            known = covariances(
                self._decoder, self._tokenizer, self._texts, recipe, self._base, self._artifacts, progress
            )
            factors = {layer: factorise(matrix) for layer, matrix in known.matrices.items()}
            place = insertion(self._decoder, layers)
            targets, hashes, reused = self._targets(tasks, prefixes, recipe, place, progress)
            still = Still(self._decoder, layers, guard_prompts(self._tokenizer, guards, tasks, limit), recipe)
            delta, reports = self._spread(tasks, targets, place, factors, still, recipe, progress)
        report = EditReport(
            layers=tuple(reports),
            losses={t.request.id: target.loss for t, target in zip(tasks, targets, strict=True)},
            left_out=left_out,
            contexts=prefixes,
            targets_reused=reused,
            seconds=time.monotonic() - started,
        )
        return Edit(delta, report, hashes, known.fingerprint, libraries())

    def _check(self, recipe: Recipe) -> None:
        dtype = str(self._decoder.dtype).removeprefix("torch.")
        if dtype != recipe.dtype:
            raise EditError(
                f"The recipe {recipe.name!r} is for {recipe.dtype} weights, and the model is loaded in {dtype}.",
                next_step="Load the model in the recipe's dtype.",
            )
        if recipe.steps < 1:
            raise EditError(f"The recipe {recipe.name!r} gives the target vectors no step.")

    def _targets(
        self,
        tasks: Sequence[Task],
        prefixes: Sequence[str],
        recipe: Recipe,
        place: Insertion,
        progress: Progress,
    ) -> tuple[list[Target], dict[str, str], int]:
        """Target vectors in the order of tasks, their content hashes by request id, and how many were there before.

        New ones are stored batch by batch, so that a stop loses one batch at most.
        """
        keys = {t.request.id: self._target_key(t, prefixes, recipe, place) for t in tasks}
        blobs = {t.request.id: self._artifacts.get("targets", keys[t.request.id]) for t in tasks}
        missing = [t for t in tasks if blobs[t.request.id] is None]
        progress.start("targets", len(missing))
        head = Head(self._decoder)
        for batch in batches(missing):
            for task, target in zip(batch, optimise(batch, recipe, place, head), strict=True):
                blob = save({"goal": target.goal, "loss": torch.tensor(target.loss, dtype=torch.float64)})
                self._artifacts.put("targets", keys[task.request.id], blob)
                blobs[task.request.id] = blob
            progress.advance(len(batch))
        progress.finish(f"{len(tasks) - len(missing)} were known")
        found = {i: blob for i, blob in blobs.items() if blob is not None}
        tensors = {i: load(blob) for i, blob in found.items()}
        targets = [Target(tensors[t.request.id]["goal"], float(tensors[t.request.id]["loss"])) for t in tasks]
        return targets, {i: hashlib.sha256(b).hexdigest() for i, b in found.items()}, len(tasks) - len(missing)

    def _target_key(self, task: Task, prefixes: Sequence[str], recipe: Recipe, place: Insertion) -> str:
        """Hash of all that a target vector depends on, and of nothing else: other facts and λ are not in it."""
        search = [recipe.clamp, recipe.steps, recipe.learning_rate, recipe.relative_step]
        loss = [recipe.weight_decay, recipe.kl_weight, recipe.loss_threshold]
        sites = sorted(recipe.layers)[-place.sites :]
        what = [place.name, sites, recipe.dtype, list(prefixes), search, loss]
        return content_hash(["target", TARGET_FORMAT, self._base, task.request.id, what])

    def _spread(
        self,
        tasks: Sequence[Task],
        targets: Sequence[Target],
        place: Insertion,
        factors: dict[int, Factor],
        still: Still,
        recipe: Recipe,
        progress: Progress,
    ) -> tuple[FactorDelta, list[LayerReport]]:
        """Layer by layer: what is still missing, on the copy that holds the layers before."""
        goals = torch.stack([t.goal for t in targets])
        made: dict[str, tuple[Tensor, Tensor]] = {}
        reports: list[LayerReport] = []
        progress.start("layers", len(place.layers))
        with ExitStack() as edited:
            climb = Climb(self._decoder, place.layers, [t.prompts for t in tasks])
            for step, layer in enumerate(place.layers):
                keys, distance, wanted = place.residual(goals, climb, step)
                solution = solve(factors[layer.index], recipe.covariance_weight, keys.T, wanted.T, still.keys(step))
                pair = (solution.left.float().contiguous(), solution.right.float().contiguous())
                ratio = _ratio(layer, pair)
                edited.enter_context(applied(self._decoder.model, FactorDelta({layer.down.name: pair})))
                made[layer.down.name] = pair
                after = place.remainder(goals, climb, step)
                still.advance(step)
                reports.append(
                    LayerReport(
                        layer=layer.index,
                        residual_before=float(distance.norm(dim=1).mean()),
                        residual_after=float(after.norm(dim=1).mean()),
                        delta_ratio=ratio,
                        condition=solution.condition,
                        ridge=solution.ridge,
                    )
                )
                progress.advance()
        progress.finish()
        return FactorDelta(made), reports


def _ratio(layer: DecoderLayer, pair: tuple[Tensor, Tensor]) -> float:
    left, right = (t.double() for t in pair)
    return float((left @ right).norm() / layer.down.weight.double().norm())


def libraries() -> dict[str, str]:
    """Versions of what computes the weights."""
    modules = (safetensors, tokenizers, torch, transformers)
    return {m.__name__: str(m.__version__) for m in modules}
