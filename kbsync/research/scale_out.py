"""``kbsync bench scale-out``: two single-threaded workers beside one, and whether the results are the same bits."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from kbsync.bootstrap.workers import shared
from kbsync.checkpoints.factors import hashes
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.contexts import contexts
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise_all
from kbsync.editing.editors import EDITORS
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.target_tasks import TARGET_TASKS, found_in, shared_by_all, task_of
from kbsync.editing.memit.targets import WINDOW, batches
from kbsync.executors.ray_executor import RayExecutor, Resources
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.model.editable import editable
from kbsync.model.load import LoadedModel
from kbsync.model.suffix import longest_row
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.ports import Edit, Editor, Executor, LanguageModel, Part, Work
from kbsync.research.session import ResearchSession
from kbsync.testing import MemoryArtifactStore

HEAD = "127.0.0.2"
"""A loopback address that Ray takes for what it is; 127.0.0.1 it takes for the machine's own on its network."""
CORES = 3
"""One worker, and two, so that both kinds are ready all the time; only one kind works at a time."""
ENVIRONMENT = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Of a cluster that is started: its workers are as important as this process, and Ray sends nothing home."""
COVARIANCE_TOKENS = 2_000
"""The covariance is no part of what is timed."""
SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vo", "bel", "dur", "ni", "sha")
TEMPLATES = ("The capital of {} is", "The mayor of {} is", "The largest company of {} is", "{} was founded by")
ANSWERS = ("Oslo", "Anna Berg", "Vienna", "Rome", "Lima Sand", "Cairo")
NOT_MEASURED = {
    "plan.seconds@100000": ("s", "<= 60"),
    "plan.peak_bytes@100000": ("bytes", "<= 1.07374e+09"),
    "offload.peak_bytes": ("bytes", "<= 4.29497e+09"),
    "offload.other_answers": ("answers", "<= 0"),
}
"""Figures that other commands measure. Those that are not given stand there as missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done in each timed run."""

    targets: int = 4 * WINDOW
    """Facts whose target vectors are searched."""
    probed: int = 512
    """Facts that are asked in three phrasings, and scored."""
    evaluated: int = 1280
    """Questions to an edited model, with two scores each."""
    edited: int = 100
    """Facts of the edits whose time and hash are compared."""
    rounds: int = 2
    """How often one worker and two take turns."""


def facts(count: int) -> list[Rewrite]:
    """Made-up facts about places that don't exist; no two have the same prompt."""
    made = []
    for n in range(count):
        number, place = n // len(TEMPLATES), ""
        for _ in range(3):
            number, digit = divmod(number, len(SYLLABLES))
            place += SYLLABLES[digit]
        made.append(Rewrite(TEMPLATES[n % len(TEMPLATES)], place.capitalize(), ANSWERS[5 * n % len(ANSWERS)]))
    return made


@contextmanager
def cluster(address: str | None) -> Iterator[str]:
    """The address of a cluster: one that is there, or one on this machine for the time of the block."""
    if address:
        yield address
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from ray.cluster_utils import Cluster

    with TemporaryDirectory(dir="/tmp") as scratch:  # sockets have short names
        arguments = {"num_cpus": CORES, "node_ip_address": HEAD, "include_dashboard": False, "temp_dir": scratch}
        made: Any = Cluster(initialize_head=True, head_node_args={**arguments, "object_store_memory": 200_000_000})
        try:
            yield str(made.address)
        finally:
            made.shutdown()


def measure_scale_out(
    session: ResearchSession, address: str | None, size: Size, work: Work, others: Sequence[Path] = ()
) -> dict[str, Any]:
    """Measure; returns the evidence document.

    Args:
        address: Of a cluster's head; None: a cluster is started on this machine.
        others: Evidence files that hold figures of ``NOT_MEASURED``.

    Raises:
        DataError: One of ``others`` can't be read.
        ConfigError: Ray is not installed.
        WorkersDown: The cluster can't be reached.
        EditError: The recipe can't write the made-up facts.
    """
    from kbsync.executors.connection import require_ray

    require_ray()
    elsewhere = measured_elsewhere(others)
    started, begun = datetime.now(UTC), time.monotonic()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with cluster(address) as head, _workers(session, head, 1) as one, _workers(session, head, 2) as two:
            one.all_ready(work)
            two.all_ready(work)
            figures = _Run(session, one, two, size, work).figures()
    finally:
        torch.set_num_threads(before)
    seconds = time.monotonic() - begun
    model = {"model": session.model_name, "fingerprint": session.app.fingerprint}
    document = evidence("kbsync bench scale-out", figures, seed=0, started=started, seconds=seconds, **model)
    document["figures"] += elsewhere
    return document


def measured_elsewhere(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The figures of ``NOT_MEASURED`` that these evidence files hold; a figure that none holds is missed.

    Raises:
        DataError: A file is no evidence.
    """
    found: dict[str, Any] = {}
    for file in files:
        try:
            document = json.loads(file.read_bytes())
            found |= {figure["name"]: figure | {"command": document["command"]} for figure in document["figures"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is no evidence file: {error}.") from None
    return [
        found.get(name, {"name": name, "value": None, "unit": unit, "target": target, "holds": False})
        for name, (unit, target) in NOT_MEASURED.items()
    ]


@contextmanager
def _workers(session: ResearchSession, head: str, count: int) -> Iterator[RayExecutor]:
    with closing(RayExecutor(head, lambda: session.app.worker, Resources(workers=count))) as made:
        yield made


class _Killing(Executor):
    """Kills one of the workers after the first part, and counts what arrives."""

    def __init__(self, executor: RayExecutor) -> None:
        self._executor = executor
        self.kills = 0
        self.parts: Counter[tuple[int, bytes]] = Counter()

    def map(self, kind: str, shared: bytes, tasks: Sequence[bytes], work: Work) -> Iterator[Part]:  # type: ignore[override]
        import ray

        victim = self._executor.all_ready(work)[0]
        for part in self._executor.map(kind, shared, tasks, work):
            if not self.kills:
                ray.kill(victim)
                self.kills += 1
            self.parts[part.task, part.data] += 1
            yield part


class _Run:
    """One run of the benchmark."""

    def __init__(self, session: ResearchSession, one: RayExecutor, two: RayExecutor, size: Size, work: Work) -> None:
        self._one, self._two, self._size, self._work = one, two, size, work
        self._loaded: LoadedModel = session.app.loaded
        self._base = TorchBase(self._loaded)
        self._recipe: Recipe = replace(session.recipes[0], covariance_tokens=COVARIANCE_TOKENS)
        self._texts = session.app.corpus
        self._known = MemoryArtifactStore()

    def figures(self) -> list[Figure]:
        """All that is measured."""
        unshown = Work(checks=[self._work.checkpoint])
        self._editor(self._known, None).edit(facts(2), self._recipe, unshown)  # measures the covariance, once
        targets, vectors = self._turns("targets", self._targets())
        probing, answers = self._turns("probing", self._probing)
        here, delta = self._edit("in this process", None)
        there, same = self._edit("on one worker", self._one)
        both, on_two = self._edit("on two workers", self._two)
        killing = _Killing(self._two)
        _, killed = self._edit("on two workers, one of which is killed", killing)
        evaluation, figures = self._turns("evaluation", lambda by: self._evaluation(by, delta))
        versions = {content_hash(hashes(one)) for one in (delta, same, on_two, killed)}
        alike = len(versions) == 1 and vectors and answers and figures
        return [
            at_least("targets.ratio", targets[1] / targets[2], "times", 1.8),
            at_least("probing.ratio", probing[1] / probing[2], "times", 1.8),
            at_least("evaluation.ratio", evaluation[1] / evaluation[2], "times", 1.7),
            at_most("overhead", there / here - 1, "share", 0.1),
            at_least("same_hash", float(alike), "", 1),
            at_least("kills", killing.kills, "workers", 1),
            at_most("lost", self._size.edited - len(killing.parts), "facts", 0),
            at_most("doubled", killing.parts.total() - len(killing.parts), "facts", 0),
            Figure("targets.seconds", targets[1] / self._size.targets / self._size.rounds, "s a fact, one worker"),
            Figure("probing.seconds", probing[1] / self._size.probed / self._size.rounds, "s a fact, one worker"),
            Figure("edit.seconds", here, f"s for {self._size.edited} facts in one process"),
            Figure("edit.seconds@1", there, "s on one worker"),
            Figure("edit.seconds@2", both, "s on two workers"),
        ]

    def _turns(self, name: str, run: Callable[[RayExecutor], object]) -> tuple[dict[int, float], bool]:
        """Seconds of one worker and of two, in turn; and whether all runs gave the same."""
        seconds, results = {1: 0.0, 2: 0.0}, []
        self._work.start(name, 2 * self._size.rounds)
        for _ in range(self._size.rounds):
            for count, executor in ((1, self._one), (2, self._two)):
                executor.all_ready(self._work)
                begun = time.monotonic()
                results.append(run(executor))
                seconds[count] += time.monotonic() - begun
                self._work.advance()
        self._work.finish(f"{seconds[1]:.1f} s and {seconds[2]:.1f} s")
        return seconds, all(result == results[0] for result in results)

    def _targets(self) -> Callable[[RayExecutor], object]:
        decoder, recipe = editable(self._loaded.model), self._recipe
        before = contexts(decoder, self._loaded.tokenizer, recipe, self._loaded.fingerprint, self._known)
        tokenised = self._tokenised(self._size.targets, before)
        insertion = insertion_for(decoder, decoder.edited_layers(recipe.layers))
        common = shared_by_all(insertion, recipe, before, WINDOW)
        tasks = [task_of(batch) for batch in batches(tokenised, recipe)]
        unshown = Work(checks=[self._work.checkpoint])
        return lambda by: dict(found_in(part.data) for part in by.map(TARGET_TASKS, common, tasks, unshown))

    def _tokenised(self, count: int, before: Sequence[str]) -> list[TokenisedRewrite]:
        tokenizer, most = self._loaded.tokenizer, longest_row(editable(self._loaded.model))
        return tokenise_all(tokenizer, facts(count), before, most, phrasings=self._recipe.phrasings == "all")[0]

    def _probing(self, by: RayExecutor) -> object:
        """As the stage asks: 64 facts in three phrasings, for each of the model's lanes."""
        model, asked = shared(self._base, by).language_model(), facts(self._size.probed)
        phrasings = ("{}", "Q: {}\nA:", "So: {}")
        chunks = [asked[start : start + 64] for start in range(0, len(asked), 64)]
        found: list[object] = []
        for first in range(0, len(chunks), model.lanes):
            together = chunks[first : first + model.lanes]
            prompts = [[form.format(fact.prompt) for fact in chunk for form in phrasings] for chunk in together]
            found.append(model.complete_each(prompts))
            found.append(model.scores_each([[(fact.prompt, fact.target) for fact in chunk] for chunk in together]))
        return found

    def _evaluation(self, by: RayExecutor, delta: FactorDelta) -> object:
        with shared(self._base, by).edited(delta) as model:
            return self._evaluated(model)

    def _evaluated(self, model: LanguageModel) -> object:
        asked = facts(self._size.evaluated)
        pairs = [(fact.prompt, name) for fact in asked for name in (fact.target, "Paris")]
        texts = [f"{fact.subject} is" for fact in asked[::20]]
        answers = model.complete([fact.prompt for fact in asked])
        return answers, model.scores(pairs), model.sample(texts), model.perplexity(texts)

    def _editor(self, artifacts: MemoryArtifactStore, by: Executor | None) -> Editor:
        loaded, make = self._loaded, EDITORS[self._recipe.algorithm]
        return make(loaded.model, loaded.tokenizer, loaded.fingerprint, artifacts, self._texts, executor=by)

    def _edit(self, where: str, by: Executor | None) -> tuple[float, FactorDelta]:
        """Seconds of an edit that searches every target vector, and its change."""
        artifacts = MemoryArtifactStore()
        artifacts.blobs |= {place: blob for place, blob in self._known.blobs.items() if place[0] != "targets"}
        editor = self._editor(artifacts, by)
        self._work.start(f"edit {where}", None)
        begun = time.monotonic()
        made: Edit = editor.edit(facts(self._size.edited), self._recipe, Work(checks=[self._work.checkpoint]))
        seconds = time.monotonic() - begun
        self._work.finish(f"{seconds:.1f} s")
        assert isinstance(made.delta, FactorDelta)
        return seconds, made.delta
