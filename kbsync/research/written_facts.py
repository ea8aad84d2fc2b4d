"""The demonstration's facts in a copy of its ledger: asked of any model, written in a given way, and measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from kbsync.bootstrap import App
from kbsync.config import Configuration, shipped_relations
from kbsync.domain.canonical import content_hash, plain
from kbsync.domain.errors import DataError, EditError
from kbsync.domain.phrasing import PLAIN, Form, Use
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import EditReport
from kbsync.ledger import schema
from kbsync.ledger.backup import copy_sqlite
from kbsync.ledger.engine import sqlite_url
from kbsync.ports import ArtifactStore, Edit
from kbsync.research.records import file_hash
from kbsync.research.session import ResearchSession, shown_reference
from kbsync.research.stopwatch import SEARCH, Seconds, Stopwatch
from kbsync.stages.evaluate.measurement import Measured, Measurement
from kbsync.stages.evaluate.predecessor import Predecessor
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.plan import plan
from kbsync.stages.probe import probe
from kbsync.stages.session import writer

LEDGER = "ledger.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhrasingsExtent:
    """How much is written and measured."""

    size: EvaluationSize = field(default_factory=lambda: EvaluationSize(texts=0, hops=0, neighbours=0, enough=0))
    answer_tokens: int = 10
    facts: int | None = None
    """The most facts of the ledger that are asked about and written, drawn by hash; None: all."""
    compared: int = 64
    """The fewest facts that are searched in both of the ways that ``search_ratio`` compares."""
    reported: int = 20
    """The most wrong answers of each group of questions that the evidence shows."""


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
    searched: Seconds
    """The search for its target vectors."""
    report: EditReport
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A variant that was written."""

    edit: Edit
    searched: Seconds
    """The search for its target vectors."""


class FreshTargets(ArtifactStore):
    """Another store without its target vectors, so that they are searched anew and the search can be timed.

    What has been searched since is found again.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._searched: dict[str, bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self._searched.get(key) if kind == SEARCH else self._store.get(kind, key)

    def put(self, kind: str, key: str, data: bytes) -> None:
        if kind == SEARCH:
            self._searched[key] = data
        else:
            self._store.put(kind, key, data)

    def drop(self, kind: str, key: str) -> None:
        if kind == SEARCH:
            self._searched.pop(key, None)
        else:
            self._store.drop(kind, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
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

    def edit(self, variant: Variant, targets: FreshTargets | None = None) -> Edited:
        """Edit the base. Target vectors that are not in ``targets`` (None: among the session's files) are searched."""
        app, watch = self.app, Stopwatch(self.app.work.progress)
        artifacts = self.session.artifacts if targets is None else targets
        editor = app.editor(variant.recipe, artifacts, list(app.corpus))
        edit = editor.edit(variant.requests, variant.recipe, app.work.shown_by(watch), guards=variant.guards)
        return Edited(edit=edit, searched=watch.seconds.get(SEARCH, Seconds()))

    def write(self, variant: Variant, targets: FreshTargets | None = None) -> Written:
        """Edit the base as :meth:`edit` does, and measure what came out."""
        app, edited = self.app, self.edit(variant, targets)
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
        figures = measurement.candidate(edited.edit.delta, variant, 1, Predecessor())
        if figures.broken:
            raise EditError(f"{variant.name}: {figures.broken}")
        return Written(variant=variant, searched=edited.searched, report=edited.edit.report, measured=figures)

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
def open_site(session: ResearchSession, directory: Path, extent: PhrasingsExtent) -> Iterator[Site]:
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
    relations = shipped_relations("relations")
    configuration = Configuration(settings=settings, relations=relations, recipe=session.recipes[0])
    with closing(App(configuration, actor="bench", work=session.app.work)) as app:
        with writer(app.run, settings.lease.ttl) as held:
            facts = _sample(app.stages.facts(held.run), extent.facts)
            probe(held.run, app.base, facts, app.framed, answer_tokens=extent.answer_tokens)
            with app.ledger.read() as tx:
                facts = facts.judged(tx)
        yield Site(app=app, session=session, facts=facts, extent=extent, ledger_sha256=digest)


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
