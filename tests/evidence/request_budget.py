"""The number of requests of a pull, computed page by page; a test compares it with real pulls."""

from __future__ import annotations

from math import ceil

ONCE = 2
"""Requests for the server's time and for the endpoint's shape."""
BATCH = 200
"""Items of one page (``source.batch``)."""


def pull_requests(*, watched: int, changed: int, new_objects: int, batch: int = BATCH) -> int:
    """The requests of one pull.

    Not counted: second attempts, halved pages, redirects, the names of all objects once a week, and subject patterns.

    Args:
        watched: Watched items.
        changed: Those with a new revision.
        new_objects: Items in their statements that the ledger can't name yet.
        batch: Items of one page.
    """
    return ONCE + ceil(watched / batch) + ceil(changed / batch) + ceil(new_objects / batch)
