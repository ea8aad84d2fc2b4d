"""The audit trail: an append-only hash chain of every decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kbsync.domain.canonical import content_hash

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """``kind`` is the stage's verb; ``body`` is canonical JSON data; ``hash`` covers all of it and ``prev``."""

    seq: int
    at: datetime
    kind: str
    actor: str
    body: dict[str, Any]
    prev: str
    hash: str


def chain(seq: int, at: datetime, kind: str, actor: str, body: dict[str, Any], prev: str) -> AuditEvent:
    """Build the event that follows ``prev`` (``GENESIS`` for the first, whose ``seq`` is 1)."""
    digest = content_hash({"seq": seq, "at": at, "kind": kind, "actor": actor, "body": body, "prev": prev})
    return AuditEvent(seq=seq, at=at, kind=kind, actor=actor, body=body, prev=prev, hash=digest)


def verify(events: list[AuditEvent]) -> str | None:
    """None when the chain is whole; else a sentence that names the first wrong place."""
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
