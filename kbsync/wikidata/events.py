"""Wikimedia's EventStreams: which items changed lately, told as server-sent events instead of asked item by item.

The stream is a hint and never the truth: what it names is fetched from the endpoint as ever, and wherever it can't be
trusted (a gap, silence, a broken line, an answer that is no stream) the answer is None and the caller polls. Events are
those of ``mediawiki.recentchange`` (wikitech.wikimedia.org, "Event Platform/EventStreams HTTP Service"); the framing is
the HTML standard's, section 9.2.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from kbsync.domain.errors import BadIdentifier
from kbsync.domain.statement import ItemId, item_id
from kbsync.wikidata.answers import Answer, retry_after

KEPT = timedelta(days=7)
"""How far back the public stream goes at least; what is asked from before that begins later without a word."""
PAUSE = timedelta(minutes=5)
"""How long a stream that refused is left alone, where it does not say how long itself."""
_CHUNK = 65_536
_LONGEST = 4 * 2**20
"""Characters of one event: a thousand times the usual."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One dispatched event: ``id`` is what ``Last-Event-ID`` takes up again."""

    id: str
    data: str


class Broken(Exception):
    """The line, or what came over it, can't be relied on; the reason is for the log."""


def frames(chunks: Iterator[bytes]) -> Iterator[Frame]:
    """Server-sent events from pieces of the body, wherever they are cut. Raises ``Broken`` for an endless event."""
    rest, last, data = b"", "", list[str]()
    for chunk in chunks:
        lines = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        rest = lines.pop()
        if len(rest) + sum(map(len, data)) > _LONGEST:
            raise Broken("an event without an end")
        for line in lines:
            name, _, value = line.decode("utf-8", errors="replace").partition(":")
            value = value.removeprefix(" ")
            if not line.strip():
                if data:
                    yield Frame(last, "\n".join(data))
                data = []
            elif name == "data":
                data.append(value)
            elif name == "id":
                last = value


def changed_item(event: dict[str, Any], wiki: str) -> ItemId | None:
    """The item that an event is about: edits, new pages, deletions, restorations; None for everything else."""
    if event.get("wiki") != wiki or event.get("namespace") != 0 or event.get("type") not in ("edit", "new", "log"):
        return None
    try:
        return item_id(str(event.get("title")))
    except BadIdentifier:
        return None


def event_time(event: dict[str, Any]) -> datetime:
    """``meta.dt``. Raises ``Broken`` where it is missing or is no time."""
    try:
        at = datetime.fromisoformat(event["meta"]["dt"])
    except (KeyError, TypeError, ValueError):
        raise Broken("an event without a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class EventStream:
    """Remembers which items changed, and reads on from where it stopped.

    ``idle`` bounds each silence and ``deadline`` one catching-up (seconds); a first event later than ``max_gap`` after
    the moment that was asked for is a gap. ``attempts`` is how often a line that breaks is taken up again. Doubled
    events do no harm, because an item is remembered once.
    """

    def __init__(
        self,
        url: str,
        user_agent: str,
        *,
        wiki: str = "wikidatawiki",
        idle: float = 15.0,
        deadline: float = 60.0,
        attempts: int = 3,
        max_gap: timedelta = timedelta(minutes=2),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._agent = user_agent
        self._wiki = wiki
        self._idle = idle
        self._deadline = deadline
        self._attempts = attempts
        self._max_gap = max_gap
        self._now = now
        self._monotonic = monotonic
        self._closed_until: datetime | None = None
        self._seen: dict[ItemId, datetime] = {}
        self._whole_from: datetime | None = None
        self._last_id = ""
        self._reached: datetime | None = None

    def changed_since(self, begin: datetime) -> frozenset[ItemId] | None:
        """Items that changed at ``begin`` or later, up to now; None where that can't be told for certain."""
        now = self._now()
        if (self._closed_until and now < self._closed_until) or now - begin > KEPT:
            return None
        if self._whole_from is None or begin < self._whole_from:
            self._forget()
        try:
            self._catch_up(begin, now)
        except Broken as broken:
            structlog.get_logger(__name__).warning("event stream", url=self.url, problem=str(broken))
            self._forget()
            return None
        self._seen = {item: at for item, at in self._seen.items() if at >= begin}
        self._whole_from = begin
        return frozenset(self._seen)

    def _forget(self) -> None:
        self._seen, self._whole_from, self._last_id, self._reached = {}, None, "", None

    def _catch_up(self, begin: datetime, until: datetime) -> None:
        """Read until an event is as young as ``until``. Raises ``Broken``."""
        give_up = self._monotonic() + self._deadline
        for attempt in range(self._attempts):
            asked = self._reached or begin
            try:
                for frame in frames(self._chunks(asked, give_up)):
                    if self._take(frame, asked) >= until:
                        return
                    asked = self._reached or asked
            except _Gap:
                raise
            except Broken:
                if attempt + 1 == self._attempts:
                    raise
        raise Broken(f"the line broke {self._attempts} times")

    def _take(self, frame: Frame, asked: datetime) -> datetime:
        """Note one event; raises ``Broken`` where something is missing between the last one and this."""
        try:
            event = json.loads(frame.data)
        except json.JSONDecodeError:
            raise Broken("an event that is not JSON") from None
        if not isinstance(event, dict):
            raise Broken("an event that is no object")
        at = event_time(event)
        if at - asked > self._max_gap:
            self._forget()
            raise _Gap(f"a gap from {asked} to {at}")
        self._last_id, self._reached = frame.id or self._last_id, max(at, self._reached or at)
        if event["meta"].get("domain") != "canary" and (item := changed_item(event, self._wiki)):
            self._seen[item] = max(at, self._seen.get(item, at))
        return at

    def _chunks(self, since: datetime, give_up: float) -> Iterator[bytes]:
        """The body as it comes. Raises ``Broken`` when the line breaks, is silent, or is no stream."""
        with closing(self._open(since)) as response:
            while True:
                if self._monotonic() > give_up:
                    raise _Gap(f"not caught up within {self._deadline:g} seconds")
                try:
                    chunk = response.read1(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise Broken(f"the line broke ({type(error).__name__})") from error
                if not chunk:
                    return
                yield chunk

    def _open(self, since: datetime) -> Any:
        query = urllib.parse.urlencode({"since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
        headers = {"User-Agent": self._agent, "Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        request = urllib.request.Request(f"{self.url}?{query}", headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=self._idle)
        except urllib.error.HTTPError as error:
            answer = Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, b"")
            error.close()
            wait = retry_after(answer, self._now())
            self._closed_until = self._now() + (PAUSE if wait is None else timedelta(seconds=wait))
            raise _Gap(f"status {answer.status}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"no connection ({error})") from error
        if response.headers.get_content_type() != "text/event-stream":
            response.close()
            raise _Gap(f"{response.headers.get_content_type()} instead of a stream")
        return response


class _Gap(Broken):
    """No use to take the line up again."""
