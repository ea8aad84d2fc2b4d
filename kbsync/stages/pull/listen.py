"""listen: a source tells what changes, and every watched item that it names is pulled within seconds.

An event is a hint and never the truth: what it names is asked of the source as ever, and asked again until the source
knows the revision that the event told of. Where the line can't be relied on, everything is polled, and so it is by
every scheduled pull. Nothing of this is kept: a listener that was killed begins where the last whole pull ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kbsync.domain.errors import Busy, KbsyncError, SourceDown, SourceError, Stopped
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.ports import ItemEvent, StatementSource
from kbsync.stages.pull.pull import BATCH, ItemsPulled, PullResult, pull, pull_items
from kbsync.stages.pull.watch import known_watch
from kbsync.stages.session import Run

OVERLAP = timedelta(minutes=10)
"""So much is heard again at each beginning: the servers behind one endpoint are not all equally far. For as long an
endpoint that claims to be past an event may still answer from before it."""
FRESH = timedelta(minutes=15)
"""The end of an older whole pull is not heard from: a stream of all wikis' edits is 100 MB an hour and more."""
PACE = timedelta(seconds=2)
"""Between two looks at the endpoint; what is heard meanwhile goes into one."""
LONGEST_WAIT = timedelta(seconds=30)
"""An item that the endpoint does not know yet is asked for after 1, 2, 4, ... seconds, and then so often."""
GIVEN_UP = timedelta(days=1)
"""After so long the scheduled pulls have asked for it often enough."""
PAUSES = timedelta(seconds=10), timedelta(minutes=10)
"""How long a line that failed is left alone at first, and at most."""
REFRESH = timedelta(minutes=1)
"""How often the watched items are read from the ledger anew."""
FIRST_POLL, NEXT_POLL = timedelta(minutes=1), timedelta(minutes=10)
"""When everything is polled for what the line did not tell, and how long until that is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a listener did. ``kind``: ``listening`` (from ``since`` on), ``heard`` (``items`` were pulled,
    with what ``result``; ``delay``: seconds since the oldest of their events), ``waiting`` (the source is not that far
    or can't be asked, for ``reason``), ``polled`` (everything was, for what the line could not tell), ``lost`` (the line,
    for ``reason``), ``refused`` (``items`` are left to the scheduled pulls, for ``reason``; without any: a poll)."""

    kind: str
    items: tuple[ItemId, ...] = ()
    since: datetime | None = None
    delay: float | None = None
    reason: str = ""
    result: PullResult | None = None


@dataclass(slots=True)
class _Wanted:
    """The newest event about an item, since when it is wanted, and when it is asked for next."""

    event: ItemEvent
    since: datetime
    due: datetime
    wait: timedelta = timedelta(seconds=1)


class Listener:
    """Listens until ``run.work`` raises ``Stopped``. ``pulling`` holds the puller's lease; ``sleep`` waits for so
    many seconds, or shorter where something wakes it; ``tell`` gets every ``Notice``; ``chance`` spreads the waits."""

    def __init__(
        self,
        run: Run,
        source: StatementSource,
        relations: Sequence[Relation],
        *,
        pulling: Callable[[], AbstractContextManager[Run]],
        sleep: Callable[[float], None],
        tell: Callable[[Notice], None] = lambda _: None,
        chance: random.Random | None = None,
    ) -> None:
        self._run, self._source, self._relations = run, source, relations
        self._pulling, self._sleep, self._tell = pulling, sleep, tell
        self._chance = chance or random.Random()
        self._wanted: dict[ItemId, _Wanted] = {}
        self._recent: dict[ItemId, ItemEvent] = {}
        self._watched: frozenset[ItemId] = frozenset()
        self._read_at = self._next_look = self._next_poll = datetime.min.replace(tzinfo=UTC)
        self._owed: datetime | None = None

    def listen(self) -> None:
        """Raises ``Stopped``, and what no waiting heals: ``StoreError``, or ``SourceError`` for a source that tells
        nothing by itself."""
        pause, mark = PAUSES[0], self._mark()
        fresh = mark is not None and self._now() - mark < FRESH
        begin = mark - OVERLAP if mark is not None and fresh else self._now()
        while True:
            began = self._now()
            try:
                self._follow(begin)
            except SourceDown as error:
                self._tell(Notice(kind="lost", reason=str(error)))
            if self._now() - began > pause:
                pause = PAUSES[0]
            self._wait(pause)
            pause, begin = min(2 * pause, PAUSES[1]), self._now()

    def _follow(self, begin: datetime) -> None:
        """Until the line is lost. Raises ``SourceDown`` with the reason."""
        events, heard = self._source.events(begin), False
        if events is None:
            raise SourceError("This source does not tell of changes by itself.", next_step="Set source.events.")
        for event in events:
            self._run.work.checkpoint()
            if event is not None and not heard:
                heard, self._owed, self._next_poll = True, begin, self._now() + FIRST_POLL
                self._tell(Notice(kind="listening", since=begin))
            if event is not None:
                self._note(event)
            self._work()
            self._make_up()

    def _make_up(self) -> None:
        """Poll everything until a whole pull, of whomever, reached the moment from which on the line told all."""
        now = self._now()
        if self._owed is None or now < self._next_poll:
            return
        mark = self._mark()
        if mark is not None and mark >= self._owed:
            self._owed = None
            return
        self._next_poll = now + NEXT_POLL
        try:
            with self._pulling() as run:
                result = pull(run, self._source, self._relations)
        except Stopped:
            raise
        except KbsyncError as error:
            self._tell(Notice(kind="waiting" if _passing(error) else "refused", reason=str(error)))
            return
        self._tell(Notice(kind="polled", result=result))

    def _now(self) -> datetime:
        return self._run.clock.now()

    def _mark(self) -> datetime | None:
        """Up to when every relation was pulled whole; None where one never was."""
        with self._run.ledger.read() as tx:
            marks = [tx.watermark(f"{self._source.name}/{relation.property}") for relation in self._relations]
        known = [mark for mark in marks if mark is not None]
        return min(known) if known and len(known) == len(marks) else None

    def _note(self, event: ItemEvent) -> None:
        """Remember the event: one about an unwatched item for a while, as the item may be a member already."""
        self._refresh()
        if event.item in self._watched:
            self._want(event)
        elif event.item not in self._recent or event.at >= self._recent[event.item].at:
            self._recent[event.item] = event

    def _want(self, event: ItemEvent) -> None:
        """Have the item asked for, unless the ledger knows the revision already: events come twice."""
        now, known = self._now(), self._wanted.get(event.item)
        if event.revision:
            with self._run.ledger.read() as tx:
                head = tx.heads([event.item]).get(event.item)
            if head is not None and head.revision >= event.revision:
                return
        if known is None:
            self._wanted[event.item] = _Wanted(event, now, now)
        elif (event.at, event.revision) > (known.event.at, known.event.revision):
            self._wanted[event.item] = _Wanted(event, known.since, now)

    def _refresh(self) -> None:
        now = self._now()
        if now - self._read_at < REFRESH:
            return
        with self._run.ledger.read() as tx:
            watch, redirects = known_watch(tx, self._relations), tx.redirects()
        self._watched = frozenset({*watch.items, *(redirects[item] for item in watch.items if item in redirects)})
        self._read_at = now
        self._recent = {item: event for item, event in self._recent.items() if now - event.at < OVERLAP}
        for item in self._recent.keys() & self._watched:
            self._want(self._recent.pop(item))

    def _work(self) -> None:
        """One look at the source, if something is due and the pace allows."""
        now = self._now()
        if now < self._next_look:
            return
        self._refresh()
        for item in [item for item, wanted in self._wanted.items() if now - wanted.since > GIVEN_UP]:
            del self._wanted[item]
        due = sorted(item for item, wanted in self._wanted.items() if wanted.due <= now)[:BATCH]
        if due:
            self._look(due)
            self._next_look = self._now() + PACE

    def _look(self, due: list[ItemId]) -> None:
        try:
            with self._pulling() as run:
                server_time = self._source.server_time()
                ready = [item for item in due if self._wanted[item].event.at.replace(microsecond=0) <= server_time]
                looked = self._pull(run, ready, server_time) if ready else None
        except Stopped:
            raise
        except KbsyncError as error:
            if _passing(error):
                self._later(due, str(error))
                return
            for item in due:
                del self._wanted[item]
            self._tell(Notice(kind="refused", items=tuple(due), reason=str(error)))
            return
        if looked is not None:
            self._settle(ready, looked)
        left = [item for item in due if item in self._wanted]
        self._later(left, f"the source, which knows Wikidata up to {server_time}, does not have these changes yet")

    def _pull(self, run: Run, items: list[ItemId], server_time: datetime) -> ItemsPulled:
        edited = {item for item in items if self._wanted[item].event.revision}
        return pull_items(run, self._source, self._relations, items, server_time, edited=edited)

    def _settle(self, asked: list[ItemId], looked: ItemsPulled) -> None:
        """Forget what the source has caught up with."""
        done = {item: wanted for item in asked if _caught_up(wanted := self._wanted[item], looked)}
        for item in done:
            del self._wanted[item]
        if done:
            delay = max((self._now() - wanted.event.at).total_seconds() for wanted in done.values())
            self._tell(Notice(kind="heard", items=tuple(done), delay=delay, result=looked.result))

    def _later(self, items: list[ItemId], reason: str) -> None:
        now = self._now()
        for item in items:
            wanted = self._wanted[item]
            wanted.due = now + wanted.wait * self._chance.uniform(0.8, 1.2)
            wanted.wait = min(2 * wanted.wait, LONGEST_WAIT)
        if items:
            self._tell(Notice(kind="waiting", items=tuple(items), reason=reason))

    def _wait(self, span: timedelta) -> None:
        """What was heard is worked at meanwhile."""
        until = self._now() + span
        while self._now() < until:
            self._run.work.checkpoint()
            self._sleep(1.0)
            self._work()


def _passing(error: KbsyncError) -> bool:
    return error.transient or isinstance(error, Busy)


def _caught_up(wanted: _Wanted, looked: ItemsPulled) -> bool:
    """Whether the source has what the event told of, or must have it by its own time: a revision that it never shows
    was hidden or deleted again."""
    event, head = wanted.event, looked.heads.get(wanted.event.item)
    moved = event.item in looked.moved
    if looked.result.server_time - event.at >= OVERLAP:
        return True
    if event.revision and head is not None:
        return head.revision >= event.revision or (moved and head.redirect_to is not None)
    return moved
