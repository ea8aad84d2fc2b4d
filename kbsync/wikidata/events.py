"""Wikimedia's EventStreams report items that change as server-sent events, so that they need not be polled.

The stream only says what to fetch; the statements come from the endpoint as always. If it is not reliable (a gap,
silence, a connection that keeps failing, an answer that is no stream), it raises an error, and the caller polls. The
events are those of ``mediawiki.recentchange`` (wikitech.wikimedia.org, "Event Platform/EventStreams HTTP Service"). The
service ends each connection after a quarter of an hour.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from kbsync.domain.errors import BadIdentifier, SourceDown
from kbsync.domain.statement import ItemId, item_id
from kbsync.ports import ItemEvent
from kbsync.system import http
from kbsync.system.hidden import hidden, shown_url
from kbsync.wikidata import agent
from kbsync.wikidata.event_frames import BEAT, MEDIA_TYPE, Broken, Frame, FrameReader
from kbsync.wikidata.responses import Response, retry_after

KEPT = timedelta(days=7)
"""How far back the public stream reaches. If asked for an earlier time, it begins later without saying so."""
PAUSE = timedelta(minutes=5)
"""How long to wait after a stream has refused a connection without saying how long."""
_LONGEST_ID, _LONGEST_NAME = 4_096, 200
"""Characters of a position in the stream, and of an event's own id; longer ones are not remembered: no server takes
such a position back, and thousands of such ids would take all memory."""
_REMEMBERED = 20_000
"""Number of event ids that are remembered, in order to drop repeated events: some minutes of all wikis."""
WIKIDATA = "wikidatawiki"
"""Wikidata's name in the stream."""
_OTHERS = frozenset({122, 146, 640, 710, 828, 1198, 2300, 2302, 2600})
"""Namespaces of properties, lexemes, entity schemas, subtitles, modules, translations, gadgets and topics."""


class _Gap(Broken):
    """A failure that connecting again would not mend."""


def changed_item(event: dict[str, Any], wiki: str) -> ItemId | None:
    """The item that was edited, created, deleted or restored; None if the event is about something else.

    On Wikidata, items are the pages of the main namespace. Most other Wikibases keep them in a separate namespace (120,
    sometimes 860), whose name in the wiki's language precedes the id: ``Item:Q5``.
    """
    if event.get("wiki") != wiki or event.get("type") not in ("edit", "new", "log"):
        return None
    namespace, title = event.get("namespace"), str(event.get("title"))
    prefix, _, name = title.rpartition(":")
    if namespace == 0:
        name = title
    elif wiki == WIKIDATA or not prefix or not _may_hold_items(namespace):
        return None
    try:
        return item_id(name)
    except BadIdentifier:
        return None


def _may_hold_items(namespace: object) -> bool:
    """Whether a namespace may hold items: MediaWiki's own are below 100, and those of talk pages are odd."""
    return isinstance(namespace, int) and namespace >= 100 and namespace % 2 == 0 and namespace not in _OTHERS


def revision(event: dict[str, Any]) -> int:
    """The revision that the event led to; 0 if it names none."""
    revisions = event.get("revision")
    new = revisions.get("new") if isinstance(revisions, dict) else None
    return new if isinstance(new, int) and new > 0 else 0


def event_time(event: dict[str, Any]) -> datetime:
    """The time of an event (``meta.dt``). Raises ``Broken`` if it is missing or not a time."""
    try:
        at = datetime.fromisoformat(event["meta"]["dt"])
    except (KeyError, TypeError, ValueError, IndexError):
        raise Broken("an event without a time") from None
    if not 1990 <= at.year < 9999:
        raise Broken("an event without a time that can be")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class EventStream:
    """Reads the stream through one connection after the other; each resumes where the last one ended.

    Args:
        user_agent: Says who asks, with an e-mail address or a URL; goes into the header of that name.
        idle: Longest time in seconds without a byte from the service.
        attempts: How many connections in a row may end without an event.
        max_gap: A longer time between two events means that some are missing.
        sleep: Waits for a number of seconds between two connections.
    """

    def __init__(
        self,
        url: str,
        user_agent: str,
        *,
        wiki: str = WIKIDATA,
        idle: float = 15.0,
        attempts: int = 5,
        max_gap: timedelta = timedelta(minutes=2),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._agent = agent.user_agent(user_agent)
        self._wiki = wiki
        self._idle = idle
        self._attempts = attempts
        self._max_gap = max_gap
        self._now = now
        self._sleep = sleep
        self._closed_until: datetime | None = None

    def events(self, since: datetime) -> Iterator[ItemEvent | None]:
        """Report changes, as ``StatementSource.events`` says.

        Raises:
            SourceDown: There is a gap, the stream refuses, the answer is no stream, or connections keep failing.
        """
        if self._closed_until and self._now() < self._closed_until:
            raise self._down(f"it asked to be left alone until {self._closed_until:%Y-%m-%d %H:%M:%S} UTC")
        if self._now() - since > KEPT:
            raise self._down(f"it does not reach back to {since}")
        position, failures = _Position(since), 0
        while True:
            before = position.reached, position.id
            try:
                yield from self._connection(position)
                problem = "the line ended"
            except _Gap as gap:
                raise self._down(str(gap)) from gap
            except Broken as broken:
                problem = str(broken)
            failures = failures + 1 if (position.reached, position.id) == before else 0
            if failures == self._attempts:
                raise self._down(f"{problem}, {failures} times in a row")
            # The caller gets control while this waits, which tenacity can't give.
            for _ in range(max(1, 2**failures - 1)):
                yield None
                self._sleep(random.uniform(0.5, 1.0))

    def _connection(self, position: _Position) -> Iterator[ItemEvent | None]:
        """The changes that one connection reports, and None after each ``BEAT`` without a change."""
        last_report = time.monotonic()
        with closing(FrameReader(self._pieces(position))) as reader:
            for frame in reader:
                event = self._item_event(frame, position) if frame else None
                if event is not None or time.monotonic() - last_report >= BEAT:
                    last_report = time.monotonic()
                    yield event

    def _item_event(self, frame: Frame, position: _Position) -> ItemEvent | None:
        """The change of an item that a frame reports, or None; also advances the position.

        Raises ``Broken`` for a frame that is no event, and if events before it are missing.
        """
        try:
            event = json.loads(frame.data)
        except (ValueError, RecursionError):
            raise Broken("an event that is not JSON") from None
        if not isinstance(event, dict):
            raise Broken("an event that is no object")
        at = event_time(event)
        if at - position.reached > self._max_gap:
            raise _Gap(f"it has a gap from {position.reached} to {at}")
        if frame.id and len(frame.id) <= _LONGEST_ID:
            position.id = frame.id
        position.reached = max(at, position.reached)
        if event["meta"].get("domain") == "canary" or position.is_repeated(event["meta"].get("id")):
            return None
        item = changed_item(event, self._wiki)
        return ItemEvent(item, at, revision(event)) if item else None

    def _pieces(self, position: _Position) -> Generator[bytes]:
        """The body of the answer on one connection, in pieces as they arrive. Raises ``Broken``."""
        since = {"since": position.reached.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        # Not compressed: otherwise an event would be delayed until a compressed block is full.
        headers = {"User-Agent": self._agent, "Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        if position.id:
            headers["Last-Event-ID"] = position.id
        try:
            with (
                http.client(headers, self._idle) as client,
                client.stream("GET", httpx2.URL(self.url).copy_merge_params(since)) as response,
            ):
                self._check(response)
                yield from response.iter_bytes()
        except http.UNCONNECTED as error:
            raise Broken(f"no connection ({hidden(str(error))})") from error
        except http.FAILURES as error:
            raise Broken(f"the line broke ({type(error).__name__})") from error

    def _check(self, response: httpx2.Response) -> None:
        """Raises ``_Gap`` for an answer that is no stream. After a refusal, nothing is sent for the time that it
        names."""
        if not response.is_success:
            wait = retry_after(Response(response.status_code, response.headers, b""), self._now())
            self._closed_until = self._now() + (PAUSE if wait is None else timedelta(seconds=wait))
            raise _Gap(f"it refuses with status {response.status_code}")
        kind = response.headers.get("content-type", "an unnamed type").partition(";")[0].strip().lower()
        if kind != MEDIA_TYPE:
            raise _Gap(f"it is {kind} instead of a stream")

    def _down(self, reason: str) -> SourceDown:
        return SourceDown(
            f"The event stream {shown_url(self.url)} can't be relied on: {reason}.",
            next_step="Changes are found by polling until it can.",
        )


@dataclass(slots=True)
class _Position:
    """How far the stream has been read."""

    reached: datetime
    """Time of the newest event."""
    id: str = ""
    """Value for ``Last-Event-ID``; empty before the first event."""
    known: dict[str, None] = field(default_factory=dict)
    """Ids (``meta.id``) of the newest events."""

    def is_repeated(self, event: object) -> bool:
        """Whether an event with this id came before; remembers the id."""
        if not isinstance(event, str) or len(event) > _LONGEST_NAME:
            return False
        repeated = event in self.known
        self.known[event] = None
        if len(self.known) > _REMEMBERED:
            del self.known[next(iter(self.known))]
        return repeated
