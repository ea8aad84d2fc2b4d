"""Readings of work done, and the time that a machine needs for it at least."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Seconds on the wall and of the processors, operations, and bytes: readings, or what passed between two."""

    wall: float = 0.0
    cpu: float = 0.0
    operations: float = 0.0
    moved: float = 0.0

    def since(self, before: Meter) -> Meter:
        return Meter(
            self.wall - before.wall,
            self.cpu - before.cpu,
            self.operations - before.operations,
            self.moved - before.moved,
        )

    def add(self, other: Meter) -> None:
        self.wall += other.wall
        self.cpu += other.cpu
        self.operations += other.operations
        self.moved += other.moved


@dataclass(frozen=True, slots=True)
class Speeds:
    """Operations and bytes a second that this machine reaches now, with as many threads as torch uses."""

    operations: float
    moved: float

    def limit(self, spent: Meter) -> float:
        """Seconds that the counted work takes at least."""
        return max(spent.operations / self.operations, spent.moved / self.moved)
