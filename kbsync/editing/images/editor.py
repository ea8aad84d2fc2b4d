"""Concept editing as an editor: facts in, low-rank factors of the cross-attention's keys and values out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.domain.phrasing import fill
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport, LayerReport
from kbsync.editing.common.low_rank import compressed
from kbsync.editing.images.closed_form import Directions, change, directions
from kbsync.editing.images.pipeline import TextToImage
from kbsync.model.delta import FactorDelta
from kbsync.ports import Edit, Editor, Work

CONCEPTS = "concepts"
"""A recipe's algorithm: unified concept editing (Gandikota et al., WACV 2024)."""
LIBRARIES = ("torch", "transformers", "diffusers")


def concept_recipe(
    image: TextToImage,
    *,
    identity_weight: float = 0.5,
    preserved: int = 0,
    preserved_weight: float = 1.0,
    last_token_only: bool = False,
) -> Recipe:
    """The recipe of a concept edit of all cross-attentions.

    Args:
        image: The pipeline; it says how many cross-attentions there are.
        identity_weight: λ, the weight of the identity (0.5 in the published code).
        preserved: At most so many concepts that the pipeline draws rightly are preserved.
        preserved_weight: Weight of a preserved concept (1 in the published code).
        last_token_only: Write the state of each concept's last token only, as published.
    """
    return Recipe(
        name=CONCEPTS,
        algorithm=CONCEPTS,
        layers=tuple(range(len(image.layers))),
        covariance_weight=identity_weight,
        guard_count=preserved,
        guard_weight=preserved_weight,
        concept_states="last" if last_token_only else "all",
    )


class ConceptEditor(Editor):
    """Lets a name be drawn as a description is drawn, and leaves the pipeline bit for bit as it was.

    A rewrite's prompt is the concept, its target the guide: ``the flag of Kelia`` → ``the red and white flag``. Each
    key and value matrix W of the cross-attention is to give W g at the concept's state c, where g is the guide's state;
    both are taken at the last token of their prompts, so the template should end in the subject. With the recipe's
    ``concept_states`` "all" they are also taken at every position behind it, as far as both prompts have it: the end
    token and the padding hold what was said, too. Then all positions of the preserved prompts are preserved.
    """

    def __init__(self, image: TextToImage) -> None:
        self._image = image

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """Write concepts; see ``Editor``. Guards are the preserved concepts. Of the recipe, ``layers``,
        ``covariance_weight`` (λ, of the identity), ``guard_weight`` and ``concept_states`` shape the weights."""
        begun = time.monotonic()
        image = self._image
        if recipe.algorithm != CONCEPTS:
            raise EditError(
                f"The recipe's algorithm is {recipe.algorithm!r}; pictures are edited by {CONCEPTS!r}.",
                next_step="Use a recipe for pictures.",
            )
        if wrong := [layer for layer in recipe.layers if not 0 <= layer < len(image.layers)]:
            raise EditError(f"The recipe names cross-attention {wrong[0]}; there are {len(image.layers)}, from 0.")
        left_out = {r.id: flaw for r in rewrites if (flaw := image.flaw(r.prompt) or image.flaw(r.target))}
        written = sorted((r for r in rewrites if r.id not in left_out), key=lambda r: r.id)
        if not written:
            raise EditError(f"None of {len(left_out)} concepts can be edited: {next(iter(left_out.values()), '')}.")
        every = recipe.concept_states == "all"
        work.start("concepts", len(recipe.layers))
        concepts, guides = columns(image, [(r.prompt, r.target) for r in written], every=every)
        preserved = self._preserved(guards, every)
        shared = directions(
            concepts, preserved, identity_weight=recipe.covariance_weight, preserved_weight=recipe.guard_weight
        )
        factors: dict[str, tuple[Tensor, Tensor]] = {}
        reports = []
        for layer in recipe.layers:
            for name in image.layers[layer]:
                left, right = compressed(*change(image.weight(name), concepts, guides, shared))
                factors[name] = left.float(), right.float()
                reports.append(_report(layer, image.weight(name), concepts, guides, left @ right, shared))
            work.advance()
        work.finish("")
        return Edit(
            delta=FactorDelta(factors),
            report=EditReport(layers=tuple(reports), left_out=left_out, seconds=time.monotonic() - begun),
            targets={r.id: self._hash(r.target) for r in written},
            covariance_fingerprint="",
            libraries={name: version(name) for name in LIBRARIES},
        )

    def _preserved(self, guards: Sequence[Preserved], every: bool) -> Tensor:
        """The states of the preserved concepts as columns, sorted by id; those that can't be read are left out.

        Where every position is written, every position is preserved, too: the words of the template are shared by all
        names, and what guidance compares with is the empty prompt.
        """
        asked = [fill(t, g.subject) for g in sorted(guards, key=lambda g: g.id) for t in (g.template, *g.phrasings)]
        prompts = [prompt for prompt in asked if not self._image.flaw(prompt)]
        if not prompts:
            return torch.zeros(self._image.width, 0, dtype=torch.float64)
        if every:
            return self._image.states(["", *prompts]).hidden.flatten(0, 1).double().T
        return columns(self._image, [(prompt, prompt) for prompt in prompts], every=False)[0]

    def _hash(self, guide: str) -> str:
        states = self._image.states([guide])
        return hashlib.sha256(states.hidden.cpu().numpy().astype("<f4").tobytes()).hexdigest()


def columns(image: TextToImage, pairs: Sequence[tuple[str, str]], *, every: bool) -> tuple[Tensor, Tensor]:
    """The states of concepts and of their guides.

    Args:
        image: The pipeline.
        pairs: Concept and guide.
        every: Whether the positions behind the last token count, too.

    Returns:
        Two matrices (d, n), float64, with a column for each pair's last tokens, and for each position behind them.
    """
    concepts, guides = (image.states([pair[side] for pair in pairs]) for side in (0, 1))
    taken = []
    for row, (first, second) in enumerate(zip(concepts.last, guides.last, strict=True)):
        count = concepts.hidden.shape[1] - max(first, second) if every else 1
        taken.append((concepts.hidden[row, first : first + count], guides.hidden[row, second : second + count]))
    return tuple(torch.cat(side).double().T for side in zip(*taken, strict=True))  # type: ignore[return-value]


def _report(
    layer: int, weight: Tensor, concepts: Tensor, guides: Tensor, delta: Tensor, shared: Directions
) -> LayerReport:
    """One matrix: its distance ‖W c − v*‖ before and after, as a mean over the columns."""
    wanted = weight.double() @ (guides - concepts)
    return LayerReport(
        layer=layer,
        residual_before=float(wanted.norm(dim=0).mean()),
        residual_after=float((wanted - delta @ concepts).norm(dim=0).mean()),
        delta_ratio=float(delta.norm() / weight.double().norm()),
        condition=shared.condition,
        ridge=shared.ridge,
    )
