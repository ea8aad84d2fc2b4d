"""The machine's clock, and the adapters that a site's settings name.

Each function imports what only its own adapter needs.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kbsync.config.publishing import PublishingSettings
from kbsync.config.settings import ModelSettings, SourceSettings, StoreSettings
from kbsync.config.values import LOCAL_STORE
from kbsync.domain.phrasing import PLAIN, Frames
from kbsync.ports import Clock, Notifier, StatementSource, Work
from kbsync.system.durable import make_directory, write_file

if TYPE_CHECKING:
    from kbsync.checkpoints.storage import Storage

FRAMES_FILE = "frames.json"
"""In the directory of converted models: how the base was asked last."""


class SystemClock(Clock):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def statement_source(settings: SourceSettings, closing: ExitStack) -> StatementSource:
    """The configured endpoint, with its event stream, if any.

    Args:
        closing: Stops the server that is started for a local store.
    """
    from kbsync.wikidata.client import SparqlClient
    from kbsync.wikidata.local import OxigraphServer
    from kbsync.wikidata.queries import Vocabulary
    from kbsync.wikidata.source import WikidataSource

    endpoint = settings.endpoint
    if endpoint.startswith(LOCAL_STORE):
        store = Path(endpoint.removeprefix(LOCAL_STORE))
        endpoint = closing.enter_context(OxigraphServer(store, read_only=True)).endpoint
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


def base_frames(settings: ModelSettings, cache_dir: Path, work: Work) -> Frames:
    """How the base model is asked, by the chat template among its files; raises ``ModelError`` as ``chat_frames`` does.

    It is remembered for ``remembered_frames``.
    """
    from kbsync.model.chat import chat_frames
    from kbsync.model.digests import digests_in
    from kbsync.model.reference import model_directory

    if settings.chat == "never":
        return PLAIN
    directory = model_directory(settings.reference, cache_dir, digests_in(cache_dir), work)
    frames = chat_frames(directory, settings.chat, settings.system)
    if remembered_frames(settings, cache_dir) != frames:
        entry = {"of": _asked_like_this(settings), "frames": asdict(frames)}
        make_directory(cache_dir)
        write_file(cache_dir / FRAMES_FILE, json.dumps(entry, indent=1).encode())
    return frames


def remembered_frames(settings: ModelSettings, cache_dir: Path) -> Frames:
    """How the base was asked last: what reports need, which neither look for the model nor fetch it.

    Nothing is remembered before the base is asked for the first time, and then there is no verdict to report either.
    """
    try:
        entry = json.loads((cache_dir / FRAMES_FILE).read_bytes())
        return Frames(**entry["frames"]) if entry["of"] == _asked_like_this(settings) else PLAIN
    except (OSError, ValueError, TypeError, KeyError):
        return PLAIN


def _asked_like_this(settings: ModelSettings) -> list[str]:
    return [settings.reference, settings.chat, settings.system]


def release_notifiers(settings: PublishingSettings, state_dir: Path, clock: Clock) -> tuple[Notifier, ...]:
    """The notifiers that ``[release]`` configures."""
    from kbsync.notifiers.command import CommandNotifier

    notifiers = list[Notifier]()
    if settings.command:
        notifiers.append(CommandNotifier(settings.command, state_dir, settings.timeout))
    if settings.webhook:
        from kbsync.notifiers.webhook import WebhookNotifier

        notifiers.append(
            WebhookNotifier(settings.webhook, settings.signing, settings.timeout, lambda: clock.now().timestamp())
        )
    return tuple(notifiers)


def artifact_storage(settings: StoreSettings, state_dir: Path) -> Storage:
    """Where versions and artifacts are stored."""
    if not settings.url:
        from kbsync.checkpoints.disk import DiskStorage

        return DiskStorage(state_dir)
    from kbsync.checkpoints.remote import open_remote

    return open_remote(settings.url, settings.options)
