"""listen: a source streams events of changes, and every watched item that one names is pulled within seconds.

An event is a hint and never the truth: the item that it names is pulled from the source as ever, and pulled again until
the source knows the event's revision. After a gap in the stream everything is polled, and every scheduled pull polls
everything, too. The listener stores nothing: one that was killed begins where the last whole pull ended.
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
from kbsync.stages.pull.fetch import BATCH
from kbsync.stages.pull.pull import ItemsPulled, PullResult, pull, pull_items
from kbsync.stages.pull.watch import known_watch
from kbsync.stages.session import Run

OVERLAP = timedelta(minutes=10)
"""On (re)connect, this much of the stream is replayed: replicas behind one endpoint lag differently. For as long after
an event, an endpoint that claims to be past it may still answer with what was before it."""
FRESH = timedelta(minutes=15)
"""Where the last whole pull ended longer ago, the stream is not replayed from there: a stream of all wikis' edits is
100 MB an hour and more."""
PACE = timedelta(seconds=2)
"""Between two pulls; events of the meantime go into the next one together."""
LONGEST_WAIT = timedelta(seconds=30)
"""An item whose change the source does not know yet is pulled again after 1, 2, 4, … seconds, at most this long."""
GIVEN_UP = timedelta(days=1)
"""Time after which an item is left to the scheduled pulls, which have looked at it several times by then."""
PAUSES = timedelta(seconds=10), timedelta(minutes=10)
"""How long the listener waits before it connects again, at first and at most."""
REFRESH = timedelta(minutes=1)
"""How often the watched items are read from the ledger anew."""
FIRST_POLL, NEXT_POLL = timedelta(minutes=1), timedelta(minutes=10)
"""How long after it connected everything is polled for what the stream missed, and when that is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a listener did."""

    kind: str
    """``listening``: it is connected. ``heard``: items were pulled. ``waiting``: the source does not know the changes
    yet, or can't be asked. ``polled``: everything was polled for what the stream missed. ``lost``: the connection
    broke. ``refused``: the items are left to the scheduled pulls; without items, a poll failed."""
    items: tuple[ItemId, ...] = ()
    since: datetime | None = None
    """``listening``: the time of the first event that the stream replays."""
    delay: float | None = None
    """``heard``: seconds since the oldest of the items' events."""
    reason: str = ""
    """``waiting``, ``lost`` and ``refused``: why."""
    result: PullResult | None = None
    """``heard`` and ``polled``: what the pull brought."""


@dataclass(slots=True)
class _Wanted:
    """An item that has to be pulled."""

    event: ItemEvent
    """The newest event about it."""
    since: datetime
    """Since when it is wanted."""
    due: datetime
    """When it is pulled next."""
    wait: timedelta = timedelta(seconds=1)
    """How long to wait after that, if the source does not know the change by then."""


class Listener:
    """Pulls what a source's events name, until a checkpoint of the run's work raises ``Stopped``."""

    def __init__(
        self,
        run: Run,
        source: StatementSource,
        relations: Sequence[Relation],
        *,
        pulling: Callable[[], AbstractContextManager[Run]],
        sleep: Callable[[float], None],
        report: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            run: What the listener reads the ledger with; it holds no lease.
            source: Where events and statements come from.
            pulling: Holds the puller's lease for a block, and yields the run to pull with.
            sleep: Waits for a number of seconds, or shorter if something wakes it.
            report: Gets every notice.
        """
        self._run, self._source, self._relations = run, source, relations
        self._pulling, self._sleep, self._report = pulling, sleep, report
        self._wanted: dict[ItemId, _Wanted] = {}
        self._recent: dict[ItemId, ItemEvent] = {}
        """The newest events about items that are not watched."""
        self._watched: frozenset[ItemId] = frozenset()
        self._read_at = self._next_pull = self._next_poll = datetime.min.replace(tzinfo=UTC)
        self._gap_until: datetime | None = None
        """A whole pull must have reached this moment, since events of before may be missing; None: it has."""

    def listen(self) -> None:
        """Listen, and connect again whenever the connection breaks.

        Raises:
            Stopped: A stop was asked for.
            SourceError: The source has no event stream.
            StoreError: The ledger can't be read or written.
        """
        pause, mark = PAUSES[0], self._mark()
        fresh = mark is not None and self._now() - mark < FRESH
        begin = mark - OVERLAP if mark is not None and fresh else self._now()
        while True:
            connected = self._now()
            try:
                self._follow(begin)
            except SourceDown as error:
                self._report(Notice(kind="lost", reason=str(error)))
            if self._now() - connected > pause:
                pause = PAUSES[0]
            self._wait(pause)
            pause, begin = min(2 * pause, PAUSES[1]), self._now()

    def _follow(self, begin: datetime) -> None:
        """Handle events from ``begin`` on until the connection breaks, which raises ``SourceDown`` with the reason."""
        events, connected = self._source.events(begin), False
        if events is None:
            raise SourceError("This source does not tell of changes by itself.", next_step="Set source.events.")
        for event in events:
            self._run.work.checkpoint()
            if event is not None and not connected:
                connected, self._gap_until, self._next_poll = True, begin, self._now() + FIRST_POLL
                self._report(Notice(kind="listening", since=begin))
            if event is not None:
                self._note(event)
            self._pull_due()
            self._close_gap()

    def _close_gap(self) -> None:
        """Poll everything until a whole pull, by any process, has reached the moment where the gap ends."""
        now = self._now()
        if self._gap_until is None or now < self._next_poll:
            return
        mark = self._mark()
        if mark is not None and mark >= self._gap_until:
            self._gap_until = None
            return
        self._next_poll = now + NEXT_POLL
        try:
            with self._pulling() as run:
                result = pull(run, self._source, self._relations)
        except Stopped:
            raise
        except KbsyncError as error:
            self._report(Notice(kind="waiting" if _may_pass(error) else "refused", reason=str(error)))
            return
        self._report(Notice(kind="polled", result=result))

    def _now(self) -> datetime:
        return self._run.clock.now()

    def _mark(self) -> datetime | None:
        """Up to when every relation was pulled whole; None where one never was."""
        with self._run.ledger.read() as tx:
            marks = [tx.watermark(f"{self._source.name}/{relation.property}") for relation in self._relations]
        known = [mark for mark in marks if mark is not None]
        return min(known) if known and len(known) == len(marks) else None

    def _note(self, event: ItemEvent) -> None:
        """Remember the event; one about an unwatched item for a while, as the item may be a new member."""
        self._refresh()
        if event.item in self._watched:
            self._want(event)
        elif event.item not in self._recent or event.at >= self._recent[event.item].at:
            self._recent[event.item] = event

    def _want(self, event: ItemEvent) -> None:
        """Have the item pulled, unless the ledger has the event's revision already: events come twice."""
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
        """Read the watched items anew, if that is due."""
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

    def _pull_due(self) -> None:
        """Pull the items that are due, if the pace allows."""
        now = self._now()
        if now < self._next_pull:
            return
        self._refresh()
        for item in [item for item, wanted in self._wanted.items() if now - wanted.since > GIVEN_UP]:
            del self._wanted[item]
        due = sorted(item for item, wanted in self._wanted.items() if wanted.due <= now)[:BATCH]
        if due:
            self._pull(due)
            self._next_pull = self._now() + PACE

    def _pull(self, due: list[ItemId]) -> None:
        try:
            with self._pulling() as run:
                server_time = self._source.server_time()
                ready = [item for item in due if self._wanted[item].event.at.replace(microsecond=0) <= server_time]
                pulled = self._pull_items(run, ready, server_time) if ready else None
        except Stopped:
            raise
        except KbsyncError as error:
            if _may_pass(error):
                self._postpone(due, str(error))
                return
            for item in due:
                del self._wanted[item]
            self._report(Notice(kind="refused", items=tuple(due), reason=str(error)))
            return
        if pulled is not None:
            self._settle(ready, pulled)
        left = [item for item in due if item in self._wanted]
        self._postpone(left, f"the source, which knows Wikidata up to {server_time}, does not have these changes yet")

    def _pull_items(self, run: Run, items: list[ItemId], server_time: datetime) -> ItemsPulled:
        edited = {item for item in items if self._wanted[item].event.revision}
        return pull_items(run, self._source, self._relations, items, server_time, edited=edited)

    def _settle(self, items: list[ItemId], pulled: ItemsPulled) -> None:
        """Forget the items whose changes the source knows."""
        done = {item: wanted for item in items if _caught_up(wanted := self._wanted[item], pulled)}
        for item in done:
            del self._wanted[item]
        if done:
            delay = max((self._now() - wanted.event.at).total_seconds() for wanted in done.values())
            self._report(Notice(kind="heard", items=tuple(done), delay=delay, result=pulled.result))

    def _postpone(self, items: list[ItemId], reason: str) -> None:
        now = self._now()
        for item in items:
            wanted = self._wanted[item]
            wanted.due = now + wanted.wait * random.uniform(0.8, 1.2)  # so that several listeners don't pull in step
            wanted.wait = min(2 * wanted.wait, LONGEST_WAIT)
        if items:
            self._report(Notice(kind="waiting", items=tuple(items), reason=reason))

    def _wait(self, span: timedelta) -> None:
        """Wait before the next connection, and pull what is due meanwhile."""
        until = self._now() + span
        while self._now() < until:
            self._run.work.checkpoint()
            self._sleep(1.0)
            self._pull_due()


def _may_pass(error: KbsyncError) -> bool:
    return error.transient or isinstance(error, Busy)


def _caught_up(wanted: _Wanted, pulled: ItemsPulled) -> bool:
    """Whether the source has what the event told of, or must have it by its own time: a revision that it never shows
    was hidden or deleted again."""
    event, head = wanted.event, pulled.heads.get(wanted.event.item)
    moved = event.item in pulled.moved
    if pulled.result.server_time - event.at >= OVERLAP:
        return True
    if event.revision and head is not None:
        return head.revision >= event.revision or (moved and head.redirect_to is not None)
    return moved
