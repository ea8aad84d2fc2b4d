"""What a source can tell of the revisions between two looks."""

from __future__ import annotations

from collections.abc import Sequence

from kbsync.domain.standing import Origin, Unbroken
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ports import StatementSource


class Between:
    """Asks a source for the history of items, each stretch of it once, and answers from memory afterwards.

    Asking is apart from answering, so that no transaction waits for a source.
    """

    def __init__(self, source: StatementSource, properties: Sequence[PropertyId]) -> None:
        """``properties``: all that are watched."""
        self._source, self._properties = source, properties
        self._touched: dict[tuple[ItemId, int, int], frozenset[str] | None] = {}

    def ask(self, before: Origin, now: Origin) -> None:
        """Ask about the revisions from ``before`` to ``now``; nothing is asked where a redirect has changed."""
        if [item for item, _ in before] != [item for item, _ in now]:
            return
        for (item, old), (_, new) in zip(before, now, strict=True):
            if old != new and old and new and (item, old, new) not in self._touched:
                self._touched[item, old, new] = self._source.touched(item, old, new, self._properties)

    def of(self, what: str) -> Unbroken:
        """Whether a property, or ``NAMES``, is known to have been the same in all revisions of a stretch."""

        def unbroken(item: ItemId, old: int, new: int) -> bool:
            touched = self._touched.get((item, old, new))
            return touched is not None and what not in touched

        return unbroken
