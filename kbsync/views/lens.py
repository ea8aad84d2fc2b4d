"""What the attribute lens saw of facts that fail (``kbsync trace relations``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kbsync.domain.audit import AuditEvent

LENS = "lens"
"""Kind of the audit events that hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LensView:
    """A second look at an edited fact that the version does not say."""

    version: int
    layer: int
    """After which the subject's state was read."""
    base: tuple[str, ...]
    """First tokens of the likeliest answers in the base's state."""
    sees: tuple[str, ...]
    """The same in the version's state."""
    holds: bool
    """The right answer is among `sees`: the fact was written and is not read out. False: the state does not hold it."""

    def __str__(self) -> str:
        state = "holds it, and the prompt does not read it out" if self.holds else "does not hold it"
        return f"the subject's state after layer {self.layer} {state} (seen: {', '.join(self.sees)})"


def lens_views(events: Iterable[AuditEvent], version: int | None = None) -> Mapping[str, LensView]:
    """By fact (``Q145 P35``), the newest look; only those at ``version``, if one is named."""
    found: dict[str, LensView] = {}
    for event in events:
        number = int(event.body["version"])
        if version is None or number == version:
            found |= {fact: _view(number, seen) for fact, seen in event.body["facts"].items()}
    return found


def _view(version: int, seen: Mapping[str, Any]) -> LensView:
    return LensView(
        version=version,
        layer=int(seen["layer"]),
        base=tuple(seen["base"]),
        sees=tuple(seen["sees"]),
        holds=bool(seen["holds"]),
    )
