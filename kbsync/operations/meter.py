"""What work costs, and the least time that a machine needs for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Either readings since some moment, or the difference between two readings."""

    wall: float = 0.0
    """Seconds on the clock."""
    cpu: float = 0.0
    """Seconds of all processors."""
    flops: float = 0.0
    """Floating-point operations."""
    bytes: float = 0.0
    """Bytes that were read and written."""

    def since(self, before: Meter) -> Meter:
        """The difference to an earlier reading."""
        return Meter(
            self.wall - before.wall, self.cpu - before.cpu, self.flops - before.flops, self.bytes - before.bytes
        )

    def add(self, other: Meter) -> None:
        """Add what other work cost."""
        self.wall += other.wall
        self.cpu += other.cpu
        self.flops += other.flops
        self.bytes += other.bytes


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """What this machine reaches now, with as many threads as torch uses."""

    flops: float
    """Floating-point operations a second."""
    bytes: float
    """Bytes read and written a second."""

    def limit(self, spent: Meter) -> float:
        """The least seconds for the counted work: the longer of its operations' time and its bytes' time."""
        return max(spent.flops / self.flops, spent.bytes / self.bytes)
