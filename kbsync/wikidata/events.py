"""Wikimedia's EventStreams: which items change, told as server-sent events instead of asked item by item.

The stream is a hint and never the truth: what it names is fetched from the endpoint as ever, and where it can't be
trusted (a gap, silence, a line that stays broken, an answer that is no stream) it says so, and the caller polls. Events
are those of ``mediawiki.recentchange`` (wikitech.wikimedia.org, "Event Platform/EventStreams HTTP Service"); the framing
is the HTML standard's, section 9.2. The service ends each line after a quarter of an hour.
"""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import httpx2

from kbsync.domain.errors import BadIdentifier, SourceDown
from kbsync.domain.statement import ItemId, item_id
from kbsync.ports import ItemEvent
from kbsync.system import http
from kbsync.wikidata.answers import Answer, retry_after

KEPT = timedelta(days=7)
"""How far back the public stream goes at least; what is asked from before that begins later without a word."""
PAUSE = timedelta(minutes=5)
"""How long a stream that refused is left alone, where it does not say how long itself."""
BEAT = 1.0
"""Seconds after which a listener is given the word, also where nothing happened."""
_REMEMBERED = 20_000
"""Ids of events that are known again: some minutes of all wikis."""
_LONGEST = 4 * 2**20
"""Bytes of one event: a thousand times the usual."""
_MEDIA_TYPE = "text/event-stream"


class Broken(Exception):
    """The line, or what came over it, can't be relied on; the reason is for the log."""


def frames(pieces: Iterable[bytes]) -> Iterator[httpx2.ServerSentEvent]:
    """Server-sent events from pieces of the body, wherever they are cut. Raises ``Broken`` for an endless event."""
    body = httpx2.Response(
        200, headers={"Content-Type": _MEDIA_TYPE}, content=pieces, request=httpx2.Request("GET", "")
    )
    try:
        yield from (frame for frame in httpx2.EventSource(body, max_event_size=_LONGEST) if frame.data)
    except httpx2.SSEError as error:
        raise Broken("an event without an end") from error


def changed_item(event: dict[str, Any], wiki: str) -> ItemId | None:
    """The item that an event is about: edits, new pages, deletions, restorations; None for everything else."""
    if event.get("wiki") != wiki or event.get("namespace") != 0 or event.get("type") not in ("edit", "new", "log"):
        return None
    try:
        return item_id(str(event.get("title")))
    except BadIdentifier:
        return None


def revision(event: dict[str, Any]) -> int:
    """The revision that the event led to; 0 where it names none."""
    told = event.get("revision")
    new = told.get("new") if isinstance(told, dict) else None
    return new if isinstance(new, int) and new > 0 else 0


def event_time(event: dict[str, Any]) -> datetime:
    """``meta.dt``. Raises ``Broken`` where it is missing or is no time."""
    try:
        at = datetime.fromisoformat(event["meta"]["dt"])
    except (KeyError, TypeError, ValueError):
        raise Broken("an event without a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class EventStream:
    """One line after the other, each taken up where the one before it ended.

    ``idle`` bounds each silence (seconds); a first event later than ``max_gap`` after the moment that was asked for is
    a gap. ``attempts`` is how often in a row a line may end without having told anything. ``sleep`` waits between two.
    """

    def __init__(
        self,
        url: str,
        user_agent: str,
        *,
        wiki: str = "wikidatawiki",
        idle: float = 15.0,
        attempts: int = 5,
        max_gap: timedelta = timedelta(minutes=2),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._agent = user_agent
        self._wiki = wiki
        self._idle = idle
        self._attempts = attempts
        self._max_gap = max_gap
        self._now = now
        self._sleep = sleep
        self._closed_until: datetime | None = None

    def events(self, since: datetime) -> Iterator[ItemEvent | None]:
        """As the port says. Raises ``SourceDown`` for a gap, a refusal, what is no stream, and a line that stays broken."""
        if self._closed_until and self._now() < self._closed_until:
            raise self._down(f"it asked to be left alone until {self._closed_until:%Y-%m-%d %H:%M:%S} UTC")
        if self._now() - since > KEPT:
            raise self._down(f"it does not reach back to {since}")
        place, failures = _Place(since), 0
        while True:
            before = place.reached, place.id
            try:
                yield from self._line(place)
                problem = "the line ended"
            except _Gap as gap:
                raise self._down(str(gap)) from gap
            except Broken as broken:
                problem = str(broken)
            failures = failures + 1 if (place.reached, place.id) == before else 0
            if failures == self._attempts:
                raise self._down(f"{problem}, {failures} times in a row")
            for _ in range(max(1, 2**failures - 1)):
                yield None
                self._sleep(random.uniform(0.5, 1.0))

    def _line(self, place: _Place) -> Iterator[ItemEvent | None]:
        told = time.monotonic()
        with closing(_Reader(self._pieces(place))) as reader:
            for frame in reader:
                event = self._take(frame, place) if frame else None
                if event is not None or time.monotonic() - told >= BEAT:
                    told = time.monotonic()
                    yield event

    def _take(self, frame: httpx2.ServerSentEvent, place: _Place) -> ItemEvent | None:
        """What an event says of an item. Raises ``Broken`` where something is missing between the last one and this."""
        try:
            event = json.loads(frame.data)
        except json.JSONDecodeError:
            raise Broken("an event that is not JSON") from None
        if not isinstance(event, dict):
            raise Broken("an event that is no object")
        at = event_time(event)
        if at - place.reached > self._max_gap:
            raise _Gap(f"it has a gap from {place.reached} to {at}")
        place.id, place.reached = frame.id or place.id, max(at, place.reached)
        if event["meta"].get("domain") == "canary" or place.is_known(event["meta"].get("id")):
            return None
        item = changed_item(event, self._wiki)
        return ItemEvent(item, at, revision(event)) if item else None

    def _pieces(self, place: _Place) -> Generator[bytes]:
        """The body of one line, in pieces as they come. Raises ``Broken``."""
        since = {"since": place.reached.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        # Compressed, an event would wait for others in the same block.
        headers = {"User-Agent": self._agent, "Accept": _MEDIA_TYPE, "Accept-Encoding": "identity"}
        if place.id:
            headers["Last-Event-ID"] = place.id
        try:
            with (
                http.client(headers, self._idle) as client,
                client.stream("GET", self.url, params=since, follow_redirects=True) as response,
            ):
                self._check(response)
                yield from response.iter_bytes()
        except http.UNCONNECTED as error:
            raise Broken(f"no connection ({error})") from error
        except http.FAILURES as error:
            raise Broken(f"the line broke ({type(error).__name__})") from error

    def _check(self, response: httpx2.Response) -> None:
        """Raises ``_Gap`` where the answer is no stream; a refusal closes the stream for as long as it asks."""
        if not response.is_success:
            wait = retry_after(Answer(response.status_code, response.headers, b""), self._now())
            self._closed_until = self._now() + (PAUSE if wait is None else timedelta(seconds=wait))
            raise _Gap(f"it refuses with status {response.status_code}")
        kind = response.headers.get("content-type", "an unnamed type").partition(";")[0].strip().lower()
        if kind != _MEDIA_TYPE:
            raise _Gap(f"it is {kind} instead of a stream")

    def _down(self, reason: str) -> SourceDown:
        return SourceDown(
            f"The event stream {self.url} can't be relied on: {reason}.",
            next_step="Changes are found by polling until it can.",
        )


class _Gap(Broken):
    """No use to take the line up again."""


@dataclass(slots=True)
class _Place:
    """How far a stream was read: ``reached`` in time, ``id`` for ``Last-Event-ID``, and the newest events' own ids."""

    reached: datetime
    id: str = ""
    known: dict[str, None] = field(default_factory=dict)

    def is_known(self, event: object) -> bool:
        """Whether an event of this id came before; notes it."""
        if not isinstance(event, str):
            return False
        doubled = event in self.known
        self.known[event] = None
        if len(self.known) > _REMEMBERED:
            del self.known[next(iter(self.known))]
        return doubled


class _Reader:
    """Reads one line in a thread of its own: a socket that met its timeout can't be read on, and whoever listens has
    other things to do every second. Iterating gives frames, and None after each ``BEAT`` without any; it raises
    ``Broken``, and ends with the line."""

    def __init__(self, pieces: Generator[bytes]) -> None:
        self._pieces = pieces
        self._closed = threading.Event()
        # Bounded, so that a listener that is busy slows the server down instead of filling the memory.
        self._told: queue.Queue[httpx2.ServerSentEvent | Broken | None] = queue.Queue(10_000)
        threading.Thread(target=self._read, name="event-stream", daemon=True).start()

    def __iter__(self) -> Iterator[httpx2.ServerSentEvent | None]:
        while True:
            try:
                told = self._told.get(timeout=BEAT)
            except queue.Empty:
                yield None
                continue
            if told is None:
                return
            if isinstance(told, Broken):
                raise told
            yield told

    def close(self) -> None:
        """The thread ends with the next piece that comes, at the latest after the silence that is allowed."""
        self._closed.set()

    def _read(self) -> None:
        try:
            with closing(self._pieces) as pieces:
                for frame in frames(takewhile(lambda _: not self._closed.is_set(), pieces)):
                    self._put(frame)
            self._put(None)
        except Broken as broken:
            self._put(broken)

    def _put(self, told: httpx2.ServerSentEvent | Broken | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._told.put(told, timeout=BEAT)
                return
