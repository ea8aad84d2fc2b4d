"""``kbsync recipe tune``: the search, its evidence, and the recipe file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kbsync.config.recipe_file import recipe_text
from kbsync.domain.canonical import plain
from kbsync.domain.recipe import Recipe
from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
from kbsync.operations.evidence import Figure, evidence
from kbsync.research.bench import Data, choose
from kbsync.research.cases import Case, Part, cases_hash
from kbsync.research.counterfact import CounterfactCase
from kbsync.research.grid import Suite
from kbsync.research.measures import CounterfactPrompts
from kbsync.research.metrics import GROUPS
from kbsync.research.records import file_hash
from kbsync.research.session import ResearchSession
from kbsync.research.tracing import Suggestion
from kbsync.research.tune_search import Measurement, Search, Space, Trial, windows
from kbsync.system.durable import write_file
from kbsync.system.printable import printable

SHOWN = (
    "score",
    "efficacy_success",
    "efficacy_strict",
    "generalization_success",
    "specificity_success",
    "perplexity_growth",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What is searched, and how much is measured."""

    data: Path
    space: Space
    dev: int = 50
    """Development cases, on which recipes are compared; all are written in one edit."""
    check: int = 100
    """Held-out cases, on which the best recipe is measured once; all are written in one edit."""
    growth: float = 0.05
    """The perplexity may grow by this share."""
    answer_tokens: int = 5
    """The most tokens of a greedy answer."""
    seed: int = 0
    """Draws the order of the cases."""
    known: bool = False
    """Only cases that the base has right."""
    suggestion: Suggestion | None = None
    """What a trace suggests. The recipe records the trace if these layers are the best."""

    def part(self, part: Part) -> Data:
        """That part of the cases."""
        return Data(path=self.data, part=part, seed=self.seed, known=self.known)


def default_space(session: ResearchSession) -> Space:
    """Three windows of layers, by the model's depth."""
    return Space(layers=windows(int(session.app.loaded.model.config.get_text_config().num_hidden_layers)))


def also(space: Space, suggestion: Suggestion) -> Space:
    """``space`` with the suggested layers, which are tried after the others."""
    return replace(space, layers=tuple(dict.fromkeys([*space.layers, suggestion.layers])))


def tune(session: ResearchSession, name: str, tuning: Tuning) -> tuple[Recipe, dict[str, Any]]:
    """Search a recipe.

    Args:
        session: The model, and the recipe that gives all that is not searched.
        name: Of the new recipe.
        tuning: What is searched, and how much is measured.

    Returns:
        The best recipe, and the evidence document.

    Raises:
        DataError, EditError, Stopped: As :func:`kbsync.research.bench.run_counterfact`.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    dev = choose(session.bench(), tuning.part(Part.DEV), tuning.dev).cases
    held_out = choose(session.bench(), tuning.part(Part.TEST), tuning.check).cases
    start = replace(session.recipes[0], name=name)
    _covariances(session, start, tuning.space)
    search = Search(_measurement(session, dev, tuning))
    best = search.run(start, tuning.space)
    judge = _measurement(session, held_out, tuning)
    checked, base = judge(best.recipe), judge.base()
    recipe = _with_origin(best.recipe, start, tuning.suggestion)
    return recipe, evidence(
        "kbsync recipe tune",
        [
            Figure("trials", len(search.trials), "recipes"),
            *(f for trial in search.trials for f in _figures(_label(trial.recipe), trial.figures)),
            *_figures("dev", best.figures),
            *_figures("held-out", checked.figures),
            *_figures("held-out base", base),
        ],
        seed=tuning.seed,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": session.bench().loaded.reference, "fingerprint": session.app.base.fingerprint},
        recipe=plain(recipe) | {"fingerprint": recipe.fingerprint},
        data={
            "file": tuning.data.name,
            "sha256": file_hash(tuning.data),
            "known": tuning.known,
            "dev": _part(dev),
            "held_out": _part(held_out),
        },
        space=asdict(tuning.space),
        trace=asdict(tuning.suggestion) if tuning.suggestion else None,
        trials=[_plain(trial) for trial in search.trials],
    )


def _with_origin(best: Recipe, start: Recipe, suggestion: Suggestion | None) -> Recipe:
    """``best`` with what still holds of ``start``: its trace if the layers are the same, its capacity if all is."""
    recipe = best if best.layers == start.layers else replace(best, trace="")
    recipe = recipe if recipe.fingerprint == start.fingerprint else replace(recipe, capacity=0)
    return suggestion.of(recipe) if suggestion else recipe


def write_recipe(path: Path, recipe: Recipe, document: dict[str, Any]) -> None:
    """Write the recipe as TOML, below a comment about the search that found it."""
    figure = {f["name"]: f["value"] for f in document["figures"]}
    comment = "\n".join(
        [
            f"Found by `kbsync recipe tune` for {document['model']['reference']} on {document['data']['dev']['cases']} "
            f"development cases of {document['data']['file']} (seed {document['seed']}, "
            f"{len(document['trials'])} recipes "
            f"tried), and checked once on {document['data']['held_out']['cases']} others, all written in one edit:",
            *(
                f"  {name}: {figure[f'held-out.{name}']:.3f} (development {figure[f'dev.{name}']:.3f})"
                for name in SHOWN
                if f"held-out.{name}" in figure
            ),
            *(
                [f"Its layers are those that the causal trace suggests (SHA-256 {recipe.trace})."]
                if recipe.trace
                else []
            ),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, recipe_text(recipe, printable(comment, keep="\n")).encode())


def _covariances(session: ResearchSession, start: Recipe, space: Space) -> None:
    """Measure the covariances of all layers that may be tried, in one pass."""
    app = session.app
    every = tuple(sorted({layer for layers in space.layers for layer in layers}))
    RecipeCovariances(app.loaded, replace(start, layers=every), app.corpus, session.artifacts).measure(app.work)


def _measurement(session: ResearchSession, cases: Sequence[CounterfactCase], tuning: Tuning) -> Measurement:
    score = {"score": tuple(f"{group}_success" for group in GROUPS)}
    suite = Suite([CounterfactPrompts(tuning.answer_tokens)], score, None, 50)
    return Measurement(session.bench(), suite, cases, session.algorithm, tuning.growth)


def _part(cases: Sequence[Case]) -> dict[str, Any]:
    return {"cases": len(cases), "sha256": cases_hash(cases)}


def _figures(part: str, figures: dict[str, float]) -> list[Figure]:
    return [Figure(f"{part}.{name}", figures[name], "share") for name in SHOWN if name in figures]


def _label(recipe: Recipe) -> str:
    """A trial's name among the figures: the values that were tried."""
    layers = ",".join(map(str, recipe.layers))
    return f"layers {layers}, λ {recipe.covariance_weight:g}, step {recipe.learning_rate:g}, clamp {recipe.clamp:g}"


def _plain(trial: Trial) -> dict[str, Any]:
    recipe = trial.recipe
    tried = {n: plain(getattr(recipe, n)) for n in ("layers", "covariance_weight", "learning_rate", "clamp")}
    return tried | {"sound": trial.sound, "figures": trial.figures}
