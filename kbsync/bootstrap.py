"""The only place where adapters are built: from a configuration to a working application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbsync.config import Configuration
from kbsync.config.values import LOCAL_STORE
from kbsync.domain.bisect import SearchLimits
from kbsync.domain.errors import Busy, ConfigError, ModelError, NotFound, StoreError
from kbsync.domain.recipe import ALGORITHMS, Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.version import CURRENT
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import (
    UNWATCHED,
    ArtifactStore,
    BaseModel,
    Clock,
    Delta,
    Editor,
    LanguageModel,
    Notifier,
    StatementSource,
    Work,
)
from kbsync.stages.binding import Stages, StageSettings
from kbsync.stages.evaluate.questions import EvaluationSize
from kbsync.stages.notify import NotifyResult, RetryPolicy, count_waiting, introduce, notify
from kbsync.stages.plan import PlanPolicy
from kbsync.stages.release.canary import CanaryPolicy
from kbsync.stages.release.promote import current_version
from kbsync.stages.session import Run, Writer, notifying, puller, writer

# torch, transformers and SPARQLWrapper take seconds to import: each is imported by the part that needs it, so that
# `kbsync status` answers at once.
if TYPE_CHECKING:
    from kbsync.checkpoints.artifacts import FileArtifactStore
    from kbsync.checkpoints.current_link import CurrentLink
    from kbsync.checkpoints.storage import Storage
    from kbsync.checkpoints.store import FileCheckpointStore
    from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
    from kbsync.model.load import LoadedModel


class SystemClock(Clock):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class DeferredBase(BaseModel):
    """A base model that is loaded when it is first asked something, and known by its fingerprint before."""

    def __init__(self, fingerprint: str, load: Callable[[], BaseModel]) -> None:
        self.fingerprint = fingerprint
        self._load = load

    @cached_property
    def _loaded(self) -> BaseModel:
        return self._load()

    def language_model(self) -> LanguageModel:
        return self._loaded.language_model()

    def edited(self, delta: Delta) -> AbstractContextManager[LanguageModel]:
        return self._loaded.edited(delta)

    def norm_growth(self, delta: Delta) -> dict[str, float]:
        return self._loaded.norm_growth(delta)


class App:
    """Everything a command may need, each part built when it is first asked for.

    ``kbsync status`` thus opens the ledger and never loads a model.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        actor: str,
        work: Work = UNWATCHED,
        clock: Clock | None = None,
        rehearsing: bool = False,
    ) -> None:
        """``rehearsing``: the ledger is a private copy of the real one, and nothing beside it is written."""
        self.configuration = configuration
        self.settings = configuration.settings
        self.relations = configuration.relations
        self.recipe = configuration.recipe
        self.actor = actor
        self.rehearsing = rehearsing
        self.work = work
        self.clock = clock or SystemClock()
        self._closing = ExitStack()

    @property
    def run(self) -> Run:
        return Run(ledger=self.ledger, clock=self.clock, work=self.work, actor=self.actor)

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Hold the writer's lease; raises ``Busy`` when another process does. What killed writers left is cleaned; at
        the end the audit trail is anchored outside the ledger, the path ``current`` follows the alias, and then, without
        the lease, notifiers are told of its moves."""
        from kbsync.checkpoints.anchor import clean_temporary

        with writer(self.run, self.settings.lease.ttl) as held:
            if self.rehearsing:
                yield held
                return
            self.store.clean_temporary()
            self.artifacts.clean_temporary()
            clean_temporary(self.settings.state_dir)
            self.current_link.clean_temporary()
            introduce(self.run, self.notifiers)
            yield held
            self._follow()
            self._anchor()
        self.notify()

    def _follow(self) -> None:
        with self.ledger.read() as tx:
            moved, version, versions = tx.alias(CURRENT), current_version(tx), tx.versions()
        if moved is not None and versions:
            self.current_link.follow(version, (version or versions[-1]).base_fingerprint)

    def notify(self) -> NotifyResult:
        """Tell notifiers what they were not told yet, unless another process is at it."""
        waiting = count_waiting(self.run, self.notifiers)
        if self.rehearsing or not waiting:
            return NotifyResult(waiting=waiting)
        release, lease = self.settings.release, self.settings.lease
        patience = RetryPolicy(attempts=release.attempts, give_up=release.give_up)
        try:
            # The lease must outlive a notifier that is silent for its whole time.
            with notifying(self.run, lease.ttl + 2 * release.timeout, 2 * release.timeout) as run:
                return notify(run, self.notifiers, str(self.current_link.link), patience)
        except Busy:
            return NotifyResult()

    @cached_property
    def notifiers(self) -> tuple[Notifier, ...]:
        """Those that ``[release]`` names."""
        from kbsync.notifiers.command import CommandNotifier

        release, found = self.settings.release, list[Notifier]()
        if release.command:
            found.append(CommandNotifier(release.command, self.settings.state_dir, release.timeout))
        if release.webhook:
            from kbsync.notifiers.webhook import WebhookNotifier

            found.append(
                WebhookNotifier(release.webhook, release.signing, release.timeout, lambda: self.clock.now().timestamp())
            )
        return tuple(found)

    @cached_property
    def current_link(self) -> CurrentLink:
        """The path that follows ``current``."""
        from kbsync.checkpoints.current_link import CurrentLink

        release = self.settings.release
        return CurrentLink(self.settings.state_dir, release.publish, release.rank, self.store, lambda: self.loaded)

    def _anchor(self) -> None:
        """An anchor that does not fit stays: it is the evidence, and `audit verify` tells of it."""
        from kbsync.checkpoints.anchor import Anchor, read_anchor, write_anchor

        root = self.settings.state_dir
        try:
            old = read_anchor(root)
        except StoreError:
            return
        with self.ledger.read() as tx:
            fits = old is None or [e.hash for e in tx.audit(after=old.seq - 1, limit=1)] == [old.hash]
            newest = tx.newest_event()
        if fits and newest is not None:
            write_anchor(root, Anchor(seq=newest.seq, hash=newest.hash))

    @contextmanager
    def puller(self) -> Iterator[Run]:
        """Hold the puller's lease; raises ``Busy`` when another process does."""
        with puller(self.run, self.settings.lease.ttl) as held:
            yield held

    def group(self, names: Sequence[str]) -> tuple[Relation, ...]:
        """The relations of these names; raises ``NotFound`` for one that is not watched."""
        known = {relation.name: relation for relation in self.relations}
        if missing := sorted(set(names) - known.keys()):
            raise NotFound(f"No relation {', '.join(missing)} is watched.", next_step="`kbsync status` lists them.")
        return tuple(known[name] for name in names)

    @cached_property
    def ledger(self) -> SqlLedger:
        """Raises ``SchemaError`` when the schema is not this program's, ``StoreError`` when it can't be opened."""
        url = self.settings.database_url.get_secret_value()
        if self.rehearsing:
            from kbsync.ledger.private_copy import private_copy

            url = self._closing.enter_context(private_copy(url))
        return self._closing.enter_context(closing(SqlLedger(url)))

    @cached_property
    def source(self) -> StatementSource:
        from kbsync.wikidata.client import SparqlClient
        from kbsync.wikidata.local import OxigraphServer
        from kbsync.wikidata.queries import Vocabulary
        from kbsync.wikidata.source import WikidataSource

        settings = self.settings.source
        endpoint = settings.endpoint
        if endpoint.startswith(LOCAL_STORE):
            store = Path(endpoint.removeprefix(LOCAL_STORE))
            endpoint = self._closing.enter_context(OxigraphServer(store, read_only=True)).endpoint
        client = SparqlClient(
            endpoint,
            settings.user_agent,
            timeout=settings.timeout.total_seconds(),
            deadline=settings.deadline.total_seconds(),
            attempts=settings.attempts,
            max_wait=settings.max_wait.total_seconds(),
        )
        vocabulary = Vocabulary(
            base=settings.concept_base, start=settings.start_time, end=settings.end_time, point=settings.point_in_time
        )
        polled = WikidataSource(client, language=settings.language, batch=settings.batch, vocabulary=vocabulary)
        if not settings.events:
            return polled
        from kbsync.wikidata.events import EventStream
        from kbsync.wikidata.streamed import StreamedSource

        return StreamedSource(polled, EventStream(settings.events, settings.user_agent, wiki=settings.events_wiki))

    @cached_property
    def loaded(self) -> LoadedModel:
        """The base model, loaded (and converted once, where it comes as GGUF)."""
        from kbsync.model.load import load

        model = self.settings.model
        return load(
            model.reference,
            cache_dir=self.settings.state_dir / "models",
            device=model.device,
            dtype=model.dtype,
            work=self.work,
        )

    @cached_property
    def fingerprint(self) -> str:
        """What identifies the base model; known from its files, whose weights are not loaded."""
        from kbsync.model.fingerprint import reference_fingerprint

        model = self.settings.model
        return reference_fingerprint(
            model.reference, cache_dir=self.settings.state_dir / "models", dtype=model.dtype, work=self.work
        )

    @cached_property
    def base(self) -> BaseModel:
        """The base model, whose weights are loaded when it is first asked something."""

        def load() -> BaseModel:
            from kbsync.model.base import TorchBase

            if self.loaded.fingerprint != self.fingerprint:
                raise ModelError(
                    "The base model's files changed after its fingerprint was taken.", next_step="Start again."
                )
            return TorchBase(self.loaded)

        return DeferredBase(self.fingerprint, load)

    @cached_property
    def artifacts(self) -> FileArtifactStore:
        from kbsync.checkpoints.artifacts import FileArtifactStore

        return FileArtifactStore(self._storage.below("artifacts"))

    @cached_property
    def store(self) -> FileCheckpointStore:
        from kbsync.checkpoints.store import FileCheckpointStore

        return FileCheckpointStore(self._storage)

    @cached_property
    def _storage(self) -> Storage:
        """Where versions and artifacts are stored."""
        store = self.settings.store
        if not store.url:
            from kbsync.checkpoints.disk import DiskStorage

            return DiskStorage(self.settings.state_dir)
        from kbsync.checkpoints.remote import open_remote

        return open_remote(store.url, store.options)

    @cached_property
    def corpus(self) -> list[str]:
        """Texts for the key covariance; empty: the model samples its own."""
        text = self.settings.text
        return _texts([*text.corpus, *self._fetched()])

    def _fetched(self) -> list[Path]:
        """The configured data sets as files, fetched from the hub where they are not here yet."""
        if not self.settings.text.datasets:
            return []
        from kbsync.text.dataset import DatasetName, fetch_dataset

        text, place = self.settings.text, self.settings.state_dir / "texts"
        try:
            names = [DatasetName.parse(name) for name in text.datasets]
        except ValueError as error:
            raise ConfigError([f"text.datasets: {error}"]) from None
        return [fetch_dataset(name, text.dataset_characters, place, self.work) for name in names]

    @cached_property
    def held_out(self) -> list[str]:
        """Texts for perplexity; by default those that kbsync ships."""
        from kbsync.text.shipped import held_out

        texts, left = [], self.settings.text.held_out_characters
        for text in _texts(self.settings.text.held_out) or held_out():
            texts.append(text[:left])
            left -= len(texts[-1])
            if left <= 0:
                break
        return texts

    def recipe_with(self, **changes: Any) -> Recipe:
        """The configured recipe with some of its fields changed."""
        return replace(self.recipe, **changes)

    def statistics(self, recipe: Recipe, texts: Sequence[str]) -> RecipeCovariances:
        """The key covariance that ``recipe`` asks for; raises ``ModelError`` for layers that the model lacks."""
        from kbsync.editing.covariance.recipe_covariances import RecipeCovariances

        return RecipeCovariances(self.loaded, recipe, texts, self.artifacts)

    @cached_property
    def neutral(self) -> list[str]:
        """Beginnings of sentences that an edit should leave alone, for the divergence from the base."""
        from kbsync.text.shipped import neutral

        return neutral()[: self.settings.gate.neutral]

    def editor(
        self,
        recipe: Recipe | None = None,
        artifacts: ArtifactStore | None = None,
        texts: Sequence[str] | None = None,
    ) -> Editor:
        """The editor that ``recipe`` (default: the configured one) names, over ``artifacts`` (default: the stored) and
        ``texts`` for its covariance (default: the configured ones; empty: text that the model samples)."""
        from kbsync.checkpoints.recording_store import RecordingEditor

        algorithm = (recipe or self.recipe).algorithm
        if algorithm not in ALGORITHMS:  # a recipe from a manifest of another kbsync
            raise ConfigError([f"algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}"])
        return RecordingEditor(artifacts or self.artifacts, partial(self._editor, algorithm, texts))

    def _editor(self, algorithm: str, texts: Sequence[str] | None, artifacts: ArtifactStore) -> Editor:
        from kbsync.editing.editors import EDITORS

        loaded = self.loaded
        own = self.corpus if texts is None else texts
        return EDITORS[algorithm](loaded.model, loaded.tokenizer, loaded.fingerprint, artifacts, own)

    @cached_property
    def stages(self) -> Stages:
        """Every stage, bound to this site's settings."""
        settings, gate = self.settings, self.settings.gate
        return Stages(
            self,
            StageSettings(
                answer_tokens=settings.model.base_answer_tokens,
                plan=PlanPolicy(
                    kinds=frozenset(settings.edit.verdicts),
                    limit=settings.edit.max_facts,
                    suspicion=settings.edit.suspicion,
                ),
                gate=gate.policy,
                evaluation=EvaluationSize(
                    paraphrases=gate.paraphrases,
                    neighbours=gate.neighbours,
                    enough=max((t.min_samples for t in gate.thresholds if t.metric == "specificity"), default=0),
                    hops=gate.hops,
                    texts=gate.texts,
                    text_tokens=gate.text_tokens,
                ),
                search=SearchLimits(builds=gate.builds, culprits=gate.culprits) if gate.bisect else None,
                pause=gate.pause,
                canary=CanaryPolicy(count=gate.canaries, max_drop=gate.canary_drop),
            ),
        )

    def close(self) -> None:
        """Close what was opened; parts that were never asked for cost nothing."""
        self._closing.close()


def _texts(paths: Sequence[Path]) -> list[str]:
    from kbsync.text.corpus import read_texts

    return read_texts(paths) if paths else []
