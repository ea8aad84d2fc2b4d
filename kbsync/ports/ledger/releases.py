"""Which version is released: the positions of aliases, and who was told of their moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

from kbsync.ports.ledger.records import AliasState, Delivered, LeaseToken


class ReleaseReader(ABC):
    """Reads aliases and deliveries."""

    @abstractmethod
    def alias(self, name: str) -> AliasState | None:
        """Where the alias points now; None where it was never moved."""

    @abstractmethod
    def alias_moves(self, name: str) -> list[AliasState]:
        """Every position that the alias ever had, oldest first."""

    @abstractmethod
    def delivery(self, notifier: str) -> Delivered | None:
        """How far a notifier was told of what became current; None for one that the ledger does not know."""


class ReleaseWriter(ReleaseReader):
    """Moves aliases and records deliveries."""

    @abstractmethod
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """Point the alias to a version (0: the unedited base).

        Raises:
            LeaseLost: At ``at``, inside this transaction, ``lease`` is not the newest holder's or has expired.
            NotFound: The version is unknown.
            DataError: The version has no stored weights.
        """

    @abstractmethod
    def set_delivery(self, delivered: Delivered) -> None:
        """Replace what is known of the notifier's deliveries."""
