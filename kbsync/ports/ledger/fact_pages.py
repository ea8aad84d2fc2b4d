"""Pages of facts: what a list shows costs what a page holds, however many facts there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.fact import FactRecord
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import VerdictKind


class FactCondition(StrEnum):
    """Which facts a page may be narrowed to, beside those with a verdict of one kind."""

    UNASKED = "unasked"
    """Believed, and the base was not asked yet."""
    WAITING = "waiting"
    """Observed with a value that is not believed yet."""
    QUARANTINED = "quarantined"
    """Left out of plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactPage:
    """A part of one property's facts, sorted by subject as the database sorts texts."""

    records: tuple[FactRecord, ...]
    after: ItemId | None
    """Where the next page begins, behind this subject; None: this page is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedItems:
    """Items with a name that was searched for."""

    items: tuple[ItemId, ...]
    after: ItemId | None
    """Where the search goes on, behind this item; None: all names were searched."""


class FactPageReader(ABC):
    """Reads facts page by page."""

    @abstractmethod
    def fact_page(
        self,
        property: PropertyId,
        *,
        limit: int,
        after: ItemId | None = None,
        only: FactCondition | VerdictKind | None = None,
        judged_by: tuple[str, str] = ("", ""),
    ) -> FactPage:
        """The next facts of a property.

        Args:
            limit: Largest number of facts. If few facts fit ``only``, a page may hold fewer and still not be the last.
            after: The page begins after this subject; None: at the first.
            only: The condition or the kind of verdict that the facts must have; None: any.
            judged_by: Model fingerprint and template hash of the verdicts that ``only`` refers to.
        """

    @abstractmethod
    def fact_total(self, property: PropertyId) -> int:
        """How many facts of the property there are."""

    @abstractmethod
    def facts_about(self, item: ItemId, properties: Sequence[PropertyId], *, limit: int) -> list[FactRecord]:
        """Facts whose subject the item is, and then facts of which it is a value; at most ``limit``."""

    @abstractmethod
    def items_named(self, part: str, *, limit: int, after: ItemId | None = None) -> NamedItems:
        """Items with ``part`` in their label, in upper or lower case; at most ``limit``, sorted as texts."""
