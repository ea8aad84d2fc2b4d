"""The demonstration's facts, written into a model and asked in words that no edit has seen, by form."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import SecretStr

from kbsync.bootstrap import App
from kbsync.config import Configuration, load_relations, shipped_config
from kbsync.domain.canonical import content_hash, plain
from kbsync.domain.errors import DataError, EditError
from kbsync.domain.gate import Metric, Threshold
from kbsync.domain.phrasing import PLAIN, Form, Use
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.version import EditReport, PromptOutcome
from kbsync.ledger import schema
from kbsync.ledger.backup import copy_sqlite
from kbsync.ledger.engine import sqlite_url
from kbsync.operations.evidence import Figure, evidence
from kbsync.ports import ArtifactStore, Progress
from kbsync.research.bench import with_targets
from kbsync.research.records import file_hash
from kbsync.research.session import ResearchSession, shown_reference
from kbsync.stages.evaluate.measurement import Measured, Measurement, Predecessor
from kbsync.stages.evaluate.question import EDITED_FORMS, EvaluationSize
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.plan import plan
from kbsync.stages.probe import probe
from kbsync.stages.session import writer

LEDGER = "ledger.sqlite3"
COMMAND = "kbsync bench phrasings"
SEARCH = "targets"
"""The step of an edit in which target vectors are searched, and the kind of artifact that keeps them."""
ALL, FIRST = "all", "first"

TARGETS = (
    Threshold(metric="edited.prompt", at_least=0.97),
    *(Threshold(metric=f"edited.{name}", at_least=0.9) for name in (*Form, "chat")),
    *(Threshold(metric=f"known_kept.{form}", at_least=0.97) for form in Form),
    Threshold(metric="perplexity_growth", at_most=0.025),
    Threshold(metric="search_ratio", at_most=2.0),
)
"""What is to be reached; those of figures that a model does not have are passed over."""

FIGURES = {
    "edited.prompt": "efficacy",
    **{f"edited.{form}": f"generalization_{form}" for form in Form},
    **{f"known_kept.{form}": f"known_kept_{form}" for form in Form},
    "distracted": "distraction",
    "near_name": "near_name",
    "alias": "alias",
    "reverse": "reverse",
    "denial": "denial",
    "stop": "stop",
    "stop_repetition": "stop_repetition",
    "stop_contradiction": "stop_contradiction",
}
"""The gate's metric behind each figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhrasingsExtent:
    """How much is written and measured."""

    size: EvaluationSize = field(default_factory=lambda: EvaluationSize(texts=0, hops=0, neighbours=0, enough=0))
    answer_tokens: int = 10
    facts: int | None = None
    """At most so many of the ledger's facts are asked about and written, drawn by hash; None: all."""
    reported: int = 20
    """So many wrong answers of each group of questions are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to write the same facts."""

    name: str
    recipe: Recipe
    requests: tuple[EditRequest, ...]
    guards: tuple[Guard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A variant that was written and measured."""

    variant: Variant
    search_seconds: float
    report: EditReport
    measured: Measured


class FreshTargets(ArtifactStore):
    """Another store without its target vectors, so that they are searched each time and the search can be timed."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def get(self, kind: str, key: str) -> bytes | None:
        return None if kind == SEARCH else self._store.get(kind, key)

    def put(self, kind: str, key: str, data: bytes) -> None:
        if kind != SEARCH:
            self._store.put(kind, key, data)

    def drop(self, kind: str, key: str) -> None:
        self._store.drop(kind, key)


class Stopwatch(Progress):
    """Another display that also adds up the seconds of each step."""

    def __init__(self, shown: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._shown = shown
        self._running: list[tuple[str, float]] = []

    def start(self, step: str, total: int | None) -> None:
        self._running.append((step, time.monotonic()))
        self._shown.start(step, total)

    def advance(self, count: int = 1) -> None:
        self._shown.advance(count)

    def finish(self, note: str = "") -> None:
        step, begun = self._running.pop()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - begun
        self._shown.finish(note)

    def abandon(self) -> None:
        self._running.clear()
        self._shown.abandon()


def run_phrasings(
    session: ResearchSession,
    directory: Path,
    extent: PhrasingsExtent = PhrasingsExtent(),
    *,
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """Write the facts with the session's recipe and measure them; returns the evidence document.

    Args:
        session: Model, recipe and texts.
        directory: The demonstration's state directory. Its ledger is copied, and not changed.
        extent: How much is written and measured.
        targets: Demands beside ``TARGETS``, or in place of those of the same figure.

    Raises:
        DataError: There is no ledger, or it has no fact that the model has wrong.
        EditError: The facts can't be written, or the edited model can't be asked.
        Stopped: A stop was asked for.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    with _site(session, directory, extent) as site:
        whole = site.write(site.variant(session.recipes[0], "given"))
        once = whole
        if whole.variant.recipe.phrasings != FIRST:
            once = site.write(site.variant(replace(session.recipes[0], phrasings=FIRST), FIRST), measured=False)
        figures = [*figures_of(whole, site.is_chat), search_ratio(whole, once)]
        demands = {t.metric: t for t in (*TARGETS, *targets)}
        named = {figure.name for figure in figures}
        demands = {name: t for name, t in demands.items() if name in named or t in targets}
        return evidence(
            COMMAND,
            with_targets(figures, list(demands.values())),
            seed=whole.variant.recipe.seed,
            started=started,
            seconds=time.monotonic() - begun,
            **site.told(whole),
            missed=missed_answers(whole.measured.outcomes, extent.reported),
        )


def run_ablation(
    session: ResearchSession, directory: Path, extent: PhrasingsExtent = PhrasingsExtent()
) -> dict[str, Any]:
    """Write the same facts in several ways, each with one more step of the method; returns the evidence document.

    Arguments and errors are those of :func:`run_phrasings`. Figures are named ``<way>.<figure>``.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    with _site(session, directory, extent) as site:
        lines = [site.write(variant) for variant in _ways(site, session.recipes[0])]
        figures = [
            replace(figure, name=f"{line.variant.name}.{figure.name.replace('.', '_')}")
            for line in lines
            for figure in [
                *figures_of(line, site.is_chat),
                Figure("search_seconds", line.search_seconds, "s"),
            ]
        ]
        return evidence(
            f"{COMMAND} --ablation",
            figures,
            seed=session.recipes[0].seed,
            started=started,
            seconds=time.monotonic() - begun,
            **site.told(lines[-1]),
        )


def _ways(site: _Site, recipe: Recipe) -> Iterator[Variant]:
    """From the first phrasing alone to everything that the method does."""
    yield site.variant(replace(recipe, phrasings=FIRST), "first phrasing")
    whole = site.variant(replace(recipe, phrasings=ALL), "guards in all phrasings, with ends")
    endless = tuple(
        replace(request, end="", phrasings=tuple(replace(p, end="") for p in request.phrasings))
        for request in whole.requests
    )
    under_prompts = tuple(replace(guard, phrasings=()) for guard in whole.guards)
    yield replace(whole, name="all phrasings", requests=endless, guards=under_prompts)
    yield replace(whole, name="guards in all phrasings", requests=endless)
    yield whole


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """The demonstration's facts with the model's verdicts on them."""

    app: App
    session: ResearchSession
    facts: BelievedFacts
    extent: PhrasingsExtent
    ledger_sha256: str

    @property
    def is_chat(self) -> bool:
        """Whether questions are put through a chat template."""
        return self.app.frames.of(Use.HELD_OUT, Form.QUESTION) != PLAIN.of(Use.HELD_OUT, Form.QUESTION)

    def variant(self, recipe: Recipe, name: str) -> Variant:
        """What the plan makes of the facts with this recipe."""
        planned = plan(self.app.run, self.facts, recipe, self.app.stages.settings.plan).plan
        if not planned.requests:
            raise DataError("The model has none of these facts wrong.", next_step="Name a ledger with other facts.")
        return Variant(name=name, recipe=recipe, requests=planned.requests, guards=planned.guards)

    def write(self, variant: Variant, *, measured: bool = True) -> Written:
        """Edit the base and measure what came out (``measured`` false: only the edit is timed)."""
        app, watch = self.app, Stopwatch(self.app.work.progress)
        editor = app.editor(variant.recipe, FreshTargets(self.session.artifacts), list(app.corpus))
        edit = editor.edit(variant.requests, variant.recipe, app.work.shown_by(watch), guards=variant.guards)
        measurement = Measurement(
            base=app.base,
            artifacts=self.session.artifacts,
            facts=self.facts,
            size=self.extent.size,
            answer_tokens=self.extent.answer_tokens,
            held_out=app.held_out,
            neutral=(),
            work=app.work,
        )
        figures = measurement.candidate(edit.delta, variant, 1, Predecessor()) if measured else Measured(metrics=())
        if figures.broken:
            raise EditError(f"{variant.name}: {figures.broken}")
        return Written(
            variant=variant, search_seconds=watch.seconds.get(SEARCH, 0.0), report=edit.report, measured=figures
        )

    def told(self, line: Written) -> dict[str, Any]:
        """What the document says beside the figures."""
        return {
            "model": {"reference": shown_reference(self.app.settings.model.reference), "chat": self.is_chat}
            | {"fingerprint": self.app.base.fingerprint},
            "recipe": plain(line.variant.recipe) | {"fingerprint": line.variant.recipe.fingerprint},
            "data": {
                "ledger_sha256": self.ledger_sha256,
                "facts": len(self.facts.watched),
                "edited": len(line.variant.requests),
                "guarded": len(line.variant.guards),
                "left_out": dict(line.report.left_out),
            },
        }


@contextmanager
def _site(session: ResearchSession, directory: Path, extent: PhrasingsExtent) -> Iterator[_Site]:
    """Open a copy of the ledger with the shipped relations, and ask the model what it has no verdict on.

    The copy stays among the session's files with what the model said, so that a second run does not ask again.
    """
    original = directory / LEDGER
    if not original.is_file():
        raise DataError(f"{directory} holds no {LEDGER}.", next_step="Run `make demo`, or name its state directory.")
    digest, settings = file_hash(original), session.app.settings
    place = settings.state_dir / "bench" / "phrasings"
    place.mkdir(parents=True, exist_ok=True)
    copy = place / f"{digest[:16]}.sqlite3"
    if not copy.exists():
        copy_sqlite(original, copy)
    schema.upgrade(sqlite_url(copy))
    settings = settings.model_copy(
        update={
            "database_url": SecretStr(sqlite_url(copy)),
            "model": settings.model.model_copy(update={"base_answer_tokens": extent.answer_tokens}),
        }
    )
    relations = _shipped_relations(place)
    configuration = Configuration(settings=settings, relations=relations, recipe=session.recipes[0])
    with closing(App(configuration, actor="bench", work=session.app.work)) as app:
        with writer(app.run, settings.lease.ttl) as held:
            facts = _sample(app.stages.facts(held.run), extent.facts)
            probe(held.run, app.base, facts, app.framed, answer_tokens=extent.answer_tokens)
            with app.ledger.read() as tx:
                facts = facts.judged(tx)
        yield _Site(app=app, session=session, facts=facts, extent=extent, ledger_sha256=digest)


def _shipped_relations(place: Path) -> tuple[Relation, ...]:
    """The relations that are shipped, whatever the state directory's were."""
    directory = place / "relations"
    directory.mkdir(exist_ok=True)
    for name, text in shipped_config().items():
        folder, _, file = name.rpartition("/")
        if folder == "relations":
            (directory / file).write_text(text, encoding="utf-8")
    return load_relations(directory)


def _sample(facts: BelievedFacts, most: int | None) -> BelievedFacts:
    """The facts, or ``most`` of them that are drawn by hash; in the same order."""
    if most is None or len(facts.watched) <= most:
        return facts
    chosen = set(sorted(facts.watched, key=lambda key: content_hash(list(key)))[:most])
    return replace(
        facts,
        watched={key: watched for key, watched in facts.watched.items() if key in chosen},
        verdicts={key: verdict for key, verdict in facts.verdicts.items() if key in chosen},
    )


def figures_of(line: Written, is_chat: bool) -> list[Figure]:
    """The figures of one measured edit: shares, how many prompts each rests on, and the base's own."""
    metrics = {metric.name: metric for metric in line.measured.metrics}
    shares = {name: metrics[metric] for name, metric in FIGURES.items() if metric in metrics}
    figures = [Figure(name, metric.value, "share") for name, metric in shares.items()]
    if is_chat:
        figures.append(_chat(line.measured.outcomes))
    figures += [
        Figure(f"{name}.{form}", metrics[f"{group}_{form}"].base, "share")
        for name, group in (("base_edited", "generalization"), ("base_known", "known"))
        for form in Form
        if f"{group}_{form}" in metrics
    ]
    figures += [
        Figure(f"prompts.{name.removeprefix('edited.')}", metric.samples, "prompts") for name, metric in shares.items()
    ]
    return [*figures, *_growth(metrics), Figure("edit_seconds", line.report.seconds, "s")]


def _chat(outcomes: Sequence[PromptOutcome]) -> Figure:
    """Everything that is asked through the chat template, whatever its form."""
    groups = {EDITED_FORMS[Form.QUESTION], EDITED_FORMS[Form.DIALOGUE]}
    rights = [float(outcome.right) for outcome in outcomes if outcome.group in groups]
    return Figure("edited.chat", fmean(rights) if rights else 0.0, "share")


def _growth(metrics: dict[str, Metric]) -> Iterator[Figure]:
    perplexity = metrics.get("perplexity")
    if perplexity is not None:
        yield Figure("perplexity_growth", perplexity.value / perplexity.base - 1, "share")


def search_ratio(whole: Written, once: Written) -> Figure:
    """Seconds of the search over all phrasings, in units of the search over the first alone."""
    return Figure("search_ratio", whole.search_seconds / max(once.search_seconds, 1e-9), "times")


def missed_answers(outcomes: Sequence[PromptOutcome], most: int) -> dict[str, list[dict[str, str]]]:
    """Wrong answers of each group, for people who want to know what is behind a figure."""
    missed: dict[str, list[dict[str, str]]] = {}
    for outcome in outcomes:
        wrong = missed.setdefault(outcome.group, [])
        if not outcome.right and len(wrong) < most:
            wrong.append({"prompt": outcome.prompt, "expected": outcome.expected, "answer": outcome.answer})
    return {group: wrong for group, wrong in missed.items() if wrong}
