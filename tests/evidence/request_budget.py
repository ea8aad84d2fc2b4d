"""How many requests a pull sends: computed from what it asks, page by page, and held against real ones by a test."""

from __future__ import annotations

from math import ceil

ONCE = 2
"""The server's time, and the endpoint's shape."""
BATCH = 200
"""Items of one page (``source.batch``)."""


def pull_requests(*, watched: int, changed: int, new_objects: int, batch: int = BATCH) -> int:
    """Requests of a pull of ``watched`` items of which ``changed`` have a new revision, with ``new_objects`` that the
    ledger can't name yet. Second attempts, halved pages and redirects come on top; so do, once in a week, the names of
    all objects, and at their own pace the subject patterns."""
    return ONCE + ceil(watched / batch) + ceil(changed / batch) + ceil(new_objects / batch)
