"""The statement history as a hash chain: each row's hash covers the row and the hash of the row before it.

Every pull that changes something writes the chain's head into the audit trail. So the trail, and the manifests that
hold its head, also prove that the history is unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLink:
    """One row as it is stored."""

    seq: int
    statement_id: str
    subject: str
    property: str
    revision: int
    seen_at: datetime | str
    """A time, or its text."""
    before: str | None
    """The statement's canonical JSON before the change; None where it appeared."""
    after: str | None
    """The same after the change; None where it disappeared."""
    hash: str


def link_hash(
    prev: str,
    *,
    statement_id: str,
    subject: str,
    property: str,
    revision: int,
    seen_at: datetime | str,
    before: str | None,
    after: str | None,
) -> str:
    """Hash the row that follows the one with hash ``prev`` (``GENESIS`` for the first).

    The row's number is not covered, because databases leave gaps; the chain itself holds the order.
    """
    return content_hash(
        {
            "prev": prev,
            "statement_id": statement_id,
            "subject": subject,
            "property": property,
            "revision": revision,
            "seen_at": seen_at,
            "before": before,
            "after": after,
        }
    )


def verify(links: Iterable[HistoryLink], anchors: Collection[str] = ()) -> list[str]:
    """Check the whole chain.

    Args:
        links: All rows in order.
        anchors: Heads that the audit trail names. Where no row has such a hash, rows are gone from the end.

    Returns:
        Sentences that name the rows where the chain is broken; none where it is whole.
    """
    problems, prev, last, missing = [], GENESIS, 0, set(anchors) - {GENESIS}
    for link in links:
        expected = link_hash(
            prev,
            statement_id=link.statement_id,
            subject=link.subject,
            property=link.property,
            revision=link.revision,
            seen_at=link.seen_at,
            before=link.before,
            after=link.after,
        )
        if link.hash != expected:
            after = f"row {last}" if last else "the beginning"
            problems.append(
                f"row {link.seq} ({link.statement_id}) was changed, or is not the one that followed {after}"
            )
        missing.discard(link.hash)
        prev, last = link.hash, link.seq
    if missing and not problems:
        problems.append(f"rows after row {last} are gone: the audit trail tells of {len(missing)} later states")
    return problems
