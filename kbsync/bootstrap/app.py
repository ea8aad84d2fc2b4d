"""The application of one site, each part of which is built when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from kbsync.bootstrap import adapters, base_model, published
from kbsync.bootstrap.adapters import SystemClock
from kbsync.bootstrap.anchoring import anchored, update_link
from kbsync.bootstrap.served_forms import Opened, served_forms
from kbsync.bootstrap.stage_settings import stage_settings
from kbsync.bootstrap.texts import SiteTexts
from kbsync.bootstrap.tuning import SiteRecipe, tuning_of
from kbsync.bootstrap.workers import SiteWorkers
from kbsync.config import Configuration
from kbsync.domain.errors import ConfigError, NotFound
from kbsync.domain.phrasing import Frames
from kbsync.domain.recipe import ALGORITHMS, Recipe
from kbsync.domain.relation import Relation
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import UNWATCHED, ArtifactStore, Clock, Editor, Notifier, StatementSource, Work
from kbsync.stages.binding import Stages
from kbsync.stages.evaluate.served import Complete
from kbsync.stages.notify import NotifyResult, count_waiting, introduce
from kbsync.stages.session import Run, Writer, puller, writer
from kbsync.stages.tune.tune import Tuning

# torch, transformers and SPARQLWrapper take seconds to import: each is imported by the part that needs it, so that
# `kbsync status` answers at once.
if TYPE_CHECKING:
    from kbsync.checkpoints.artifacts import FileArtifactStore
    from kbsync.checkpoints.current_link import CurrentLink
    from kbsync.checkpoints.storage import Storage
    from kbsync.checkpoints.store import FileCheckpointStore
    from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
    from kbsync.model.load import LoadedModel


class App(SiteTexts, SiteWorkers):
    """Everything that a command may need; each part is built when it is first asked for.

    So ``kbsync status`` opens the ledger and loads no model.
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
        """Builds nothing yet.

        Args:
            configuration: What the site is set up with.
            actor: Who or what asks, for the audit trail: ``cli:alice``, ``daemon``.
            work: Shows the progress of long work, and says when it is to stop.
            clock: The time (None: the machine's).
            rehearsing: A dry run: the ledger is a private copy of the real one, and nothing beside it is written.
        """
        self.configuration = configuration
        self.settings = configuration.settings
        self.actor = actor
        self.rehearsing = rehearsing
        self.work = work
        self.clock = clock or SystemClock()
        self._closing = ExitStack()

    @property
    def recipe(self) -> Recipe:
        """The recipe of the next version, or what a rehearsal takes for it; raises ``NotFound`` as
        ``SiteRecipe.required``."""
        return self.recipes.required(rehearsing=self.rehearsing)

    @property
    def known_recipe(self) -> Recipe | None:
        """The same; None where none was found yet."""
        return self.recipes.known

    @cached_property
    def recipes(self) -> SiteRecipe:
        """The recipe that is named, or the place of the one that is found."""
        return SiteRecipe(self.configuration.recipe, self.settings, lambda: self.fingerprint)

    @property
    def tuning(self) -> Tuning:
        """What a recipe is found with."""
        return tuning_of(self)

    @property
    def run(self) -> Run:
        """What a stage is handed that holds no lease."""
        return Run(ledger=self.ledger, clock=self.clock, work=self.work, actor=self.actor)

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Hold the writer's lease for the block.

        On entry, temporary files of killed writers are removed. On exit, the link to the current version is updated,
        the audit trail is anchored outside the ledger, the lease is released, and then the notifiers are told of moves
        of ``current``.

        Raises:
            Busy: Another process holds the lease.
        """
        with writer(self.run, self.settings.lease.ttl) as held:
            if self.rehearsing:
                yield held
                return
            with self.anchored():
                self._clean_temporary()
                introduce(self.run, self.notifiers)
                yield held
                update_link(self.ledger, self.current_link)
        self.notify()

    def _clean_temporary(self) -> None:
        from kbsync.checkpoints.anchor import clean_temporary

        self.store.clean_temporary()
        self.artifacts.clean_temporary()
        clean_temporary(self.settings.state_dir)
        self.current_link.clean_temporary()

    def anchored(self) -> AbstractContextManager[None]:
        """Anchor the audit trail outside the ledger after the block, whether or not it fails."""
        return nullcontext() if self.rehearsing else anchored(self.ledger, self.settings.state_dir)

    def notify(self) -> NotifyResult:
        """Tell notifiers of the moves that they were not told of yet, unless another process is doing so."""
        if self.rehearsing:
            return NotifyResult(waiting=count_waiting(self.run, self.notifiers))
        return published.announce(self.run, self.settings, self.notifiers, self.current_link, self.anchored)

    @cached_property
    def notifiers(self) -> tuple[Notifier, ...]:
        """The notifiers that ``[release]`` configures."""
        return published.notifiers(self.settings, self.clock, self.ledger)

    @cached_property
    def served(self) -> Complete | None:
        """Asks the server of ``[served]``; None: there is none."""
        return adapters.configured_server(self.settings, self.work)

    @property
    def canary_server(self) -> Complete | None:
        """The same, where canaries ask it."""
        return self.served if self.settings.served.canaries else None

    @property
    def served_as(self) -> dict[str, Opened]:
        """Forms of serving."""
        return served_forms(self.settings, lambda: self.loaded)

    @cached_property
    def current_link(self) -> CurrentLink:
        """The link to the current version's files."""
        return published.current_link(self)

    @contextmanager
    def puller(self) -> Iterator[Run]:
        """Hold the puller's lease for the block, and yield the run to pull with; raises ``Busy`` when another process
        holds it."""
        with puller(self.run, self.settings.lease.ttl) as held, self.anchored():
            yield held

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """The watched relations, with the words in which the base was asked last; no model is looked for."""
        frames = base_model.remembered_frames(self.settings.model, self._models)
        return tuple(relation.framed(frames) for relation in self.configuration.relations)

    @cached_property
    def framed(self) -> tuple[Relation, ...]:
        """The watched relations, with the words in which the base is asked; raises ``ModelError``."""
        return tuple(relation.framed(self.frames) for relation in self.configuration.relations)

    @cached_property
    def frames(self) -> Frames:
        """How the base is asked: by its chat template, if it has one, as ``[model]`` says.

        Raises:
            ModelError: There is no such model, or its chat template can't be used.
        """
        return base_model.base_frames(self.settings.model, self._models, self.work)

    @property
    def _models(self) -> Path:
        """Where converted models are kept."""
        return self.settings.state_dir / "models"

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
        """The configured endpoint, or a server that is started for a local store; with its event stream, if any."""
        return adapters.statement_source(self.settings.source, self._closing, self.work.checkpoint)

    @cached_property
    def loaded(self) -> LoadedModel:
        """The base model, loaded (and converted once, where it comes as GGUF)."""
        return base_model.load_base(self.settings.model, self._models, self.frames, self.work)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the base model, by its files: no weights are loaded."""
        from kbsync.model.fingerprint import reference_fingerprint

        model = self.settings.model
        return reference_fingerprint(model.reference, cache_dir=self._models, dtype=model.dtype, work=self.work)

    @cached_property
    def artifacts(self) -> FileArtifactStore:
        """Target vectors, covariances and other things that may be computed again."""
        from kbsync.checkpoints.artifacts import FileArtifactStore

        return FileArtifactStore(self._storage.below("artifacts"))

    @cached_property
    def store(self) -> FileCheckpointStore:
        """The versions."""
        from kbsync.checkpoints.store import FileCheckpointStore

        return FileCheckpointStore(self._storage)

    @cached_property
    def _storage(self) -> Storage:
        """Where versions and artifacts are stored."""
        return adapters.artifact_storage(self.settings.store, self.settings.state_dir)

    def statistics(
        self, recipe: Recipe, texts: Sequence[str], artifacts: ArtifactStore | None = None
    ) -> RecipeCovariances:
        """The key covariances that ``recipe`` asks for, over ``texts``, in ``artifacts`` (None: the site's); raises
        ``ModelError`` for layers that the model lacks."""
        from kbsync.editing.covariance.recipe_covariances import RecipeCovariances

        return RecipeCovariances(self.loaded, recipe, texts, artifacts or self.artifacts, self.executor)

    def editor(
        self, recipe: Recipe | None = None, artifacts: ArtifactStore | None = None, texts: Sequence[str] | None = None
    ) -> Editor:
        """Build an editor, which loads the base's weights when it first edits.

        Args:
            recipe: Names the algorithm (None: the configured recipe).
            artifacts: Where target vectors and covariances are kept (None: the site's artifacts).
            texts: For the key covariance (None: the configured texts; empty: text that the model samples).

        Raises:
            ConfigError: The recipe names an algorithm that this kbsync does not have.
        """
        from kbsync.checkpoints.recording_store import RecordingEditor

        algorithm = (recipe or self.recipe).algorithm
        if algorithm not in ALGORITHMS:  # a recipe from a manifest of another kbsync
            raise ConfigError([f"algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}"])
        return RecordingEditor(artifacts or self.artifacts, partial(self._editor, algorithm, texts))

    def _editor(self, algorithm: str, texts: Sequence[str] | None, artifacts: ArtifactStore) -> Editor:
        from kbsync.editing.editors import EDITORS

        loaded = self.loaded
        own = self.corpus if texts is None else texts
        return EDITORS[algorithm](
            loaded.model, loaded.tokenizer, loaded.fingerprint, artifacts, own, executor=self.executor
        )

    @cached_property
    def stages(self) -> Stages:
        """Every stage, bound to this site's settings."""
        return Stages(self, stage_settings(self.settings))

    def close(self) -> None:
        """Close what was opened; parts that were never asked for cost nothing."""
        self._closing.close()
