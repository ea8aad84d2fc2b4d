"""``kbsync bench mend``: train a MEND network for a model, so that it can stand beside the other methods.

It is trained on the development parts of CounterFact and zsRE, whose cases share no subject and no prompt with those
that the benchmarks measure. A training is kept every few minutes; a killed one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt, Unlocatable, locate
from kbsync.editing.mend.editor import KIND, network_key, trained
from kbsync.editing.mend.gradients import linear_maps
from kbsync.editing.mend.training import Example, Losses, MendTraining
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from kbsync.model.suffix import longest_row
from kbsync.model.tokens import encode
from kbsync.operations.evidence import Figure, evidence
from kbsync.ports import ArtifactStore
from kbsync.research.cases import Case, Part, select, split
from kbsync.research.counterfact import read_counterfact
from kbsync.research.records import file_hash, read_records
from kbsync.research.session import ResearchSession
from kbsync.research.zsre import read_zsre

STATE = "mend-training"
"""Kind of an unfinished training in the artifact store."""
EVERY = 200
"""Steps after which a training is kept."""
LOOKED_AT = 300
"""The first and the last so many steps whose mean losses are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a network is trained on."""

    files: tuple[Path, ...]
    facts: int | None = None
    """The most facts of each file; None: all of its development part."""
    seed: int = 0


def train_mend(session: ResearchSession, recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """Train the recipe's network, or find it trained.

    Args:
        session: The model, and the store where network and unfinished training are kept.
        recipe: One whose algorithm is ``mend``.
        data: The benchmarks' files.

    Returns:
        The evidence document.

    Raises:
        DataError: A file can't be read, or nothing in it can be trained on.
        Stopped: A stop was asked for; what was done since the last kept step is lost.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    loaded, artifacts = session.app.loaded, session.artifacts
    cases = development_cases(data)
    key = network_key(loaded.fingerprint, recipe)
    kept = _KeptTraining(artifacts, [key, [file_hash(path) for path in data.files], data.facts, data.seed])
    losses: list[Losses] = []
    examples: list[Example] = []
    if trained(artifacts, loaded.fingerprint, recipe) is None:
        decoder = discover(loaded.model)
        with frozen(loaded.model):
            examples = examples_of(loaded.tokenizer, cases, longest_row(decoder))
            maps = linear_maps(decoder, decoder.edited_layers(recipe.layers))
            training = MendTraining(decoder, maps, recipe, examples, session.app.work)
            kept.restore(training, recipe.steps)
            losses = training.run(kept.keep, EVERY)
        artifacts.put(KIND, key, training.network.to_bytes())
        kept.forget(recipe.steps)
    return evidence(
        command="kbsync bench mend",
        started=started,
        seconds=time.monotonic() - begun,
        seed=recipe.seed,
        figures=_figures(losses, len(examples) or len(cases)),
        model=loaded.reference,
        recipe=asdict(recipe),
        data=[{"source": path.name, "sha256": file_hash(path)} for path in data.files],
    )


class _KeptTraining:
    """An unfinished training in the artifact store, by the step that it was kept after."""

    def __init__(self, artifacts: ArtifactStore, inputs: list[Any]) -> None:
        self._artifacts, self._inputs = artifacts, inputs

    def restore(self, training: MendTraining, steps: int) -> None:
        """Go on from the newest one."""
        for step in sorted({*range(EVERY, steps, EVERY), steps}, reverse=True):
            if data := self._artifacts.get(STATE, self._key(step)):
                training.restore(data)
                return

    def keep(self, training: MendTraining) -> None:
        """Store it, and only then drop the one before."""
        self._artifacts.put(STATE, self._key(training.step), training.state())
        self.forget(training.step - 1)

    def forget(self, step: int) -> None:
        """Drop the newest one up to this step."""
        self._artifacts.drop(STATE, self._key(step))
        self._artifacts.drop(STATE, self._key(step // EVERY * EVERY))

    def _key(self, step: int) -> str:
        return content_hash([*self._inputs, step])


def development_cases(data: TrainingData) -> list[Case]:
    """CounterFact's and zsRE's cases that no benchmark measures."""
    cases: list[Case] = []
    for path in data.files:
        first = next(iter(read_records(path)), None)
        if first is None:
            raise DataError(f"{path.name} holds no record.")
        read = read_zsre if "src" in first.fields else read_counterfact
        development = split(list(read(path)), Part.DEV)
        cases += select(development, None, seed=data.seed)[: data.facts]
    return cases


def examples_of(tokenizer: PreTrainedTokenizerFast, cases: Sequence[Case], most_tokens: int) -> list[Example]:
    """What can be trained on; a case whose prompt and target share a token, for one, is passed over.

    Raises ``DataError`` where nothing is left.
    """
    found = []
    for case in cases:
        try:
            edit = locate(tokenizer, case.template, case.subject, case.target)
            rephrased = [locate(tokenizer, "{}", text, case.target) for text in case.paraphrases[:1]]
        except Unlocatable:
            continue
        unrelated = tuple(_whole(tokenizer, text) for text in case.neighbours[:1])
        example = Example(edit, (edit, *rephrased), unrelated)
        if max(len(p.ids) for p in (*example.wanted, *unrelated)) <= most_tokens and all(
            len(p.ids) > 1 for p in unrelated
        ):
            found.append(example)
    if not found:
        raise DataError("None of the cases can be trained on.", next_step="Choose other files, or more facts.")
    return found


def _whole(tokenizer: PreTrainedTokenizerFast, text: str) -> Prompt:
    (item,) = encode(tokenizer, [text])
    return Prompt(tuple(item.ids), 0, 1)


def _figures(losses: Sequence[Losses], facts: int) -> list[Figure]:
    figures = [Figure("facts", facts, "facts"), Figure("steps", len(losses), "steps")]
    for name, some in (("first", losses[:LOOKED_AT]), ("last", losses[-LOOKED_AT:])):
        if some:
            figures += [
                Figure(f"{name}.edit", fmean(one.edit for one in some), "nats"),
                Figure(f"{name}.locality", fmean(one.locality for one in some), "nats"),
            ]
    return figures
