"""How much the suites of ``python -m tests.evidence speed`` do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSize:
    """``rounds``: of each pair, in alternating order. ``facts`` are searched together by the fast code, of which the
    baseline does ``baseline_facts``; ``inserted`` facts are written at once; ``stored`` and ``new`` are those of a
    rebuild; ``tokens`` are read for the covariance; ``prompts`` are probed; ``width`` and ``rank`` shape the solve."""

    rounds: int = 2
    facts: int = 192
    baseline_facts: int = 6
    inserted: int = 100
    stored: int = 1000
    new: int = 10
    tokens: int = 8192
    prompts: int = 32
    width: int = 4096
    rank: int = 100
