"""How many facts a recipe holds, and what a plan says that comes near it."""

from __future__ import annotations

NEAR_CAPACITY = 0.8
"""From this share of a recipe's capacity on, a plan carries a warning."""


def capacity_warning(facts: int, capacity: int) -> str:
    """Warn of a version that comes near the number of facts that its recipe holds, or goes beyond it.

    Args:
        facts: The number of facts in the version.
        capacity: The number up to which the recipe was measured to hold (0: it was not measured).

    Returns:
        A sentence without its full stop; empty where there is room.
    """
    if not capacity or facts < NEAR_CAPACITY * capacity:
        return ""
    if facts > capacity:
        return f"{facts} facts are more than the {capacity} up to which the recipe was measured to hold"
    return f"{facts} facts are {facts / capacity:.0%} of the {capacity} up to which the recipe was measured to hold"
