"""How much the suites of ``python -m tests.evidence speed`` do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSize:
    """How much each suite does."""

    rounds: int = 2
    """Of each pair, in alternating order."""
    facts: int = 192
    """Facts whose target vectors the fast code searches together."""
    baseline_facts: int = 6
    """Those of them that the baseline searches."""
    inserted: int = 100
    """Facts that are written at once."""
    stored: int = 1000
    """Facts of a rebuild whose target vectors are stored."""
    new: int = 10
    """Facts of a rebuild that are new."""
    tokens: int = 8192
    """Tokens that are read for the covariance."""
    prompts: int = 32
    """Prompts that are probed."""
    width: int = 4096
    """Width d of the keys in the solve."""
    rank: int = 100
    """Number of facts N in the solve."""
