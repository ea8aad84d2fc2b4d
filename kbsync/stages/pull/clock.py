"""A source's times, held against what is known of the time: those that can't be are refused, for a person to see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemHead, ItemId
from kbsync.ports import AuditReader, StatementReader
from kbsync.stages.session import Run

AHEAD = timedelta(days=1)
"""A source's time may be so far ahead of this machine's clock: more than that is no difference between clocks."""
REFUSED = "pull refused"
"""Kind of the audit event for a time that can't be; it stands until the next pull is recorded."""


def ahead_of_time(watermark: datetime | None, now: datetime) -> bool:
    """Whether the ledger was brought up to a time that has not come yet, so that it takes every source for late."""
    return watermark is not None and watermark - now > AHEAD


def refused_time(tx: AuditReader) -> str | None:
    """Why the last pull was refused, if a person has to look at the source's time; None where none has to."""
    refused, pulled = tx.newest_event(REFUSED), tx.newest_event("pull")
    if refused is None or (pulled is not None and pulled.seq > refused.seq):
        return None
    return str(refused.body["reason"])


def checked_time(run: Run, source: str, server_time: datetime, *, accept: bool) -> Clocks:
    """What time it is, unless the source's time can't be.

    A source that is behind the ledger lags or was restored. One that is ahead of everything that is known of the time
    is wrong, or this machine's clock is: taking its word would make every right answer look late afterwards.

    Args:
        accept: The source is right where it is behind the ledger.

    Raises:
        SourceDown: The source knows less than the ledger.
        SourceError: The source's time has not come yet.
    """
    now = run.clock.now()
    with run.ledger.read() as tx:
        mark = tx.watermark(source)
    if server_time - max(now, mark or now) > AHEAD:
        what = (
            f"The source says that it knows Wikidata up to {server_time:%Y-%m-%d %H:%M}, and this machine's clock says "
            f"{now:%Y-%m-%d %H:%M}."
        )
        _put_before_a_person(run, source, what)
        raise SourceError(
            what,
            kept="The ledger is unchanged.",
            next_step="Set this machine's clock (NTP) if it is wrong; else the source has a wrong date: "
            "see `kbsync doctor`.",
        )
    if mark is not None and server_time < mark and not accept:
        raise _behind(server_time, mark, wrong=ahead_of_time(mark, max(now, server_time)))
    return Clocks(here=now, there=server_time)


def _behind(server_time: datetime, mark: datetime, *, wrong: bool) -> SourceDown:
    what = f"The source knows Wikidata up to {server_time}, the ledger already up to {mark}."
    if wrong:
        next_step = "The ledger's time has not come yet: take the source's word with `kbsync pull --accept-time`."
    else:
        next_step = (
            "It is lagging or was restored; the next pull tries again. `kbsync pull --accept-time` takes its word."
        )
    return SourceDown(what, kept="The ledger is unchanged.", next_step=next_step)


def _put_before_a_person(run: Run, source: str, reason: str) -> None:
    """Write the audit event, once for as long as it stands."""
    with run.ledger.write() as tx:
        if refused_time(tx) is None:
            tx.append_audit(REFUSED, run.actor, {"source": source, "reason": reason}, run.clock.now())


def possible(
    tx: StatementReader, heads: Mapping[ItemId, ItemHead], now: Clocks
) -> tuple[dict[ItemId, ItemHead], tuple[ItemId, ...]]:
    """The heads as far as their dates can be, and the items whose dates can't.

    These stay as the ledger has them, since a revision that is dated ahead would make every later one look old.
    """
    latest = max(now.here, now.there) + AHEAD
    wrong = sorted(item for item, head in heads.items() if head.modified is not None and head.modified > latest)
    stored = tx.heads(wrong)
    left = {item: head for item, head in heads.items() if item not in wrong}
    return left | stored, tuple(wrong)
