"""The statement history as a hash chain: each row's hash covers the row and the hash of the one before it.

The chain's head goes into the audit trail with every pull that changed something, so that the trail, and the manifests
that anchor it, vouch for the history as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLink:
    """One row as it is stored: ``before`` and ``after`` are the statements' canonical JSON, a time may be the text of
    one."""

    seq: int
    statement_id: str
    subject: str
    property: str
    revision: int
    seen_at: datetime | str
    before: str | None
    after: str | None
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
    """The hash of the row that follows ``prev`` (``GENESIS`` for the first). The row's number is not in it: databases
    leave gaps, and the order is in the chain."""
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
    """Sentences that name the rows where the chain is broken; none where it is whole.

    ``anchors``: heads that the audit trail tells of; one that no row has shows that rows are gone from the end.
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
