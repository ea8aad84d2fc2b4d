"""The audit trail: an append-only hash chain of every decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kbsync.domain.canonical import content_hash

GENESIS = "0" * 64
"""What the first event follows."""
ROWS = "journal"
"""In every event's body: the head of the row journal when the event was recorded, unless the journal was empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One entry of the audit trail."""

    seq: int
    """1 for the first event, without gaps."""
    at: datetime
    kind: str
    """The stage's or the command's verb, such as ``promote``."""
    actor: str
    """Who or what acted: ``cli:alice``, ``daemon``."""
    body: dict[str, Any]
    """Data that JSON can say; what it holds depends on the kind."""
    prev: str
    """Hash of the event before; ``GENESIS`` for the first."""
    hash: str
    """Covers every other field."""


def chain(seq: int, at: datetime, kind: str, actor: str, body: dict[str, Any], prev: str) -> AuditEvent:
    """Build the event that follows the one with hash ``prev``."""
    digest = content_hash({"seq": seq, "at": at, "kind": kind, "actor": actor, "body": body, "prev": prev})
    return AuditEvent(seq=seq, at=at, kind=kind, actor=actor, body=body, prev=prev, hash=digest)


def verify(events: Iterable[AuditEvent]) -> str | None:
    """Check the whole chain.

    Returns:
        None when it is whole, else a sentence that names the first event that is wrong.
    """
    prev, seq = GENESIS, 1
    for event in events:
        if event.seq != seq:
            return f"event {seq} is missing (found {event.seq})"
        if event.prev != prev:
            return f"event {seq} does not follow event {seq - 1}"
        if chain(event.seq, event.at, event.kind, event.actor, event.body, event.prev).hash != event.hash:
            return f"event {seq} was changed after it was written"
        prev, seq = event.hash, seq + 1
    return None
