"""The parts of the hardening evidence, and the demand that each of their figures must meet."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kbsync.operations.evidence import Figure, at_least, at_most

Demand = Callable[[str, float, str, float], Figure]
"""``at_least`` or ``at_most``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a part's ``measure(seed)`` returns."""

    figures: Mapping[str, float]
    """The value of each figure that the part owes, by name."""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """The bounds that the part itself found out, for figures without a fixed one."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What a reader may want to know beside the figures; goes into the file as it is."""


@dataclass(frozen=True, slots=True)
class Owed:
    """One figure that a part owes."""

    name: str
    unit: str
    demand: Demand
    bound: float | None
    """None: the part says it, because it depends on what there is."""

    def figure(self, measured: Measured) -> Figure:
        """The figure with its demand. Raises ``KeyError`` where the part did not measure it."""
        bound = measured.bounds[self.name] if self.bound is None else self.bound
        return self.demand(self.name, measured.figures[self.name], self.unit, bound)

    @property
    def missing(self) -> dict[str, Any]:
        """The entry of a figure that nobody has measured: it has no value, and its demand is not met."""
        bound = 0.0 if self.bound is None else self.bound
        target = self.demand(self.name, 0.0, self.unit, bound).target if self.bound is not None else None
        return {"name": self.name, "value": None, "unit": self.unit, "target": target, "holds": False}


@dataclass(frozen=True, slots=True)
class Part:
    """A module of this package whose function ``measure(seed: int) -> Measured`` makes the figures."""

    name: str
    module: str
    owes: tuple[Owed, ...]

    @property
    def written(self) -> bool:
        """Whether the module exists."""
        return importlib.util.find_spec(self._path) is not None

    def measure(self, seed: int) -> Measured:
        """Run the part; minutes, for some of them."""
        measured = importlib.import_module(self._path).measure(seed)
        assert isinstance(measured, Measured)
        return measured

    @property
    def _path(self) -> str:
        return f"{__package__}.{self.module}"


PARTS: tuple[Part, ...] = (
    Part(
        "vandal",
        "vandal",
        (
            Owed("vandal.histories", "histories", at_least, 10_000),
            Owed("vandal.believed", "histories", at_most, 0),
            Owed("honest.missed", "changes", at_most, 0),
        ),
    ),
    Part(
        "fuzz",
        "fuzz",
        (Owed("fuzz.cases", "answers", at_least, 100_000), Owed("fuzz.untyped", "errors", at_most, 0)),
    ),
    Part(
        "tampering",
        "tampering",
        (Owed("sql.statements", "statements", at_least, 1_000), Owed("sql.unseen", "statements", at_most, 0)),
    ),
    Part(
        "secrets",
        "secrets",
        (Owed("secrets.planted", "settings", at_least, None), Owed("secrets.told", "settings", at_most, 0)),
    ),
    Part("silent", "silent", (Owed("silent.health_seconds", "s", at_most, 1),)),
    Part(
        "pages",
        "pages",
        (
            Owed("facts_page.seconds@1000000", "s", at_most, 0.3),
            Owed("status.seconds@1000000", "s", at_most, 0.3),
            Owed("plan.gibibytes@1000000", "GiB", at_most, 1.5),
            Owed("plan.seconds@1000000", "s", at_most, 600),
            Owed("audit_verify.gibibytes@1000000", "GiB", at_most, 1.5),
            Owed("audit_verify.seconds@1000000", "s", at_most, 600),
            Owed("verify.gibibytes@1000000", "GiB", at_most, 1.5),
            Owed("verify.seconds@1000000", "s", at_most, 600),
        ),
    ),
    Part("cases", "cases", (Owed("cases.failed", "tests", at_most, 0),)),
)
