"""The machine's clock, and the adapters that a site's settings name.

Each function imports what only its own adapter needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kbsync.config.publishing import EngineSettings, PublishingSettings
from kbsync.config.secret_settings import require_private
from kbsync.config.served import ServedSettings
from kbsync.config.settings import Settings, SourceSettings, StoreSettings
from kbsync.config.values import LOCAL_STORE
from kbsync.ports import Clock, Notifier, StatementSource, Work
from kbsync.stages.evaluate.served import Complete

LostCanaries = Callable[[int, int, Complete], Sequence[str]]

if TYPE_CHECKING:
    from kbsync.checkpoints.exporters.form import ExportForm
    from kbsync.checkpoints.storage import Storage
    from kbsync.wikidata.source import WikidataSource


class SystemClock(Clock):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def statement_source(
    settings: SourceSettings, closing: ExitStack, check: Callable[[], None] | None = None
) -> StatementSource:
    """The configured endpoint or endpoints, with the event stream, if any.

    Args:
        closing: Stops the server that is started for a local store.
        check: Is called while an answer is waited for; raises to end the wait.
    """
    from kbsync.wikidata.local import OxigraphServer

    def endpoint_source(endpoint: str) -> WikidataSource:
        pause = settings.pause.total_seconds()
        if endpoint.startswith(LOCAL_STORE):
            store, pause = Path(endpoint.removeprefix(LOCAL_STORE)), 0.0
            endpoint = closing.enter_context(OxigraphServer(store, read_only=True)).endpoint
        return _endpoint_source(settings, endpoint, pause, check)

    polled: StatementSource = endpoint_source(settings.endpoint)
    if settings.scholarly:
        from kbsync.wikidata.split import SplitSource

        polled = SplitSource(polled, endpoint_source(settings.scholarly))
    if not settings.events:
        return polled
    from kbsync.wikidata.events import EventStream
    from kbsync.wikidata.streamed import StreamedSource

    return StreamedSource(polled, EventStream(settings.events, settings.user_agent, wiki=settings.events_wiki))


def _endpoint_source(
    settings: SourceSettings, endpoint: str, pause: float, check: Callable[[], None] | None
) -> WikidataSource:
    from kbsync.wikidata.client import SparqlClient
    from kbsync.wikidata.queries import Vocabulary
    from kbsync.wikidata.source import WikidataSource

    client = SparqlClient(
        endpoint,
        settings.user_agent,
        timeout=settings.timeout.total_seconds(),
        deadline=settings.deadline.total_seconds(),
        attempts=settings.attempts,
        max_wait=settings.max_wait.total_seconds(),
        pause=pause,
        check=check,
    )
    vocabulary = Vocabulary(
        base=settings.concept_base, start=settings.start_time, end=settings.end_time, point=settings.point_in_time
    )
    return WikidataSource(client, language=settings.language, batch=settings.batch, vocabulary=vocabulary)


def release_notifiers(
    settings: PublishingSettings, state_dir: Path, clock: Clock, answer_tokens: int, lost: LostCanaries
) -> tuple[Notifier, ...]:
    """The notifiers that ``[release]`` configures.

    Args:
        answer_tokens: Largest length of canaries' answers.
        lost: Asks canaries of a version: its number, how many, and what asks.

    Raises:
        ConfigError: Others may read the file of a secret that is used.
    """
    from kbsync.notifiers.command import CommandNotifier

    if settings.webhook or settings.heads_file:
        require_private(settings.secret_file, "release.secret_file")
    notifiers = list[Notifier]()
    if settings.command:
        notifiers.append(CommandNotifier(settings.command, state_dir, settings.timeout))
    if settings.webhook:
        from kbsync.notifiers.webhook import WebhookNotifier

        notifiers.append(
            WebhookNotifier(settings.webhook, settings.signing, settings.timeout, lambda: clock.now().timestamp())
        )
    if settings.heads_file:
        from kbsync.notifiers.heads_file import HeadsFileNotifier

        notifiers.append(HeadsFileNotifier(settings.heads_file, settings.signing, lambda: clock.now().timestamp()))
    if settings.engine is not None:
        notifiers.append(_engine(settings.engine, state_dir, answer_tokens, lost))
    return tuple(notifiers)


def _engine(settings: EngineSettings, state_dir: Path, answer_tokens: int, lost: LostCanaries) -> Notifier:
    from kbsync.notifiers.engine import SglangEngine, VllmEngine
    from kbsync.notifiers.llama import LlamaEngine

    def asked(version: int, complete: Complete) -> Sequence[str]:
        return lost(version, settings.canaries, complete)

    seconds = settings.timeout.total_seconds()
    if settings.kind == "llama.cpp":
        drain = settings.drain.total_seconds()
        return LlamaEngine(settings.command, state_dir, seconds, drain, answer_tokens, asked)
    require_private(settings.key_file, "release.engine.key_file")
    kind = VllmEngine if settings.kind == "vllm" else SglangEngine
    return kind(settings.url, settings.adapter, settings.secret, seconds, answer_tokens, asked)


def server(settings: ServedSettings, answer_tokens: int, work: Work) -> Complete:
    """Asks a server for greedy continuations.

    Args:
        answer_tokens: Largest length of answers.
        work: Shows the progress.

    Raises:
        ConfigError: Others may read the file of the key.
    """
    from kbsync.notifiers.openai import OpenAiServer

    require_private(settings.key_file, "served.key_file")
    timeout = settings.timeout.total_seconds()
    asked = OpenAiServer(settings.url, settings.model, settings.extra, settings.secret, timeout)
    return lambda prompts: asked.complete(prompts, answer_tokens, work)


def configured_server(settings: Settings, work: Work) -> Complete | None:
    """The same of ``[served]``; None where it names no server."""
    return server(settings.served, settings.model.base_answer_tokens, work) if settings.served.url else None


def published_form(settings: Settings) -> ExportForm:
    """In what form the current version is published."""
    from kbsync.checkpoints.exporters.form import ExportForm

    release = settings.release
    return ExportForm(
        format=release.publish,
        rank=release.rank,
        type=release.type,
        gguf=release.gguf,
        base_name=settings.model.name,
        dtype=release.dtype,
    )


def artifact_storage(settings: StoreSettings, state_dir: Path) -> Storage:
    """Where versions and artifacts are stored."""
    if not settings.url:
        from kbsync.checkpoints.disk import DiskStorage

        return DiskStorage(state_dir)
    from kbsync.checkpoints.remote import open_remote

    return open_remote(settings.url, settings.options)
