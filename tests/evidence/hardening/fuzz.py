"""Answers that no honest endpoint gives, by the hundred thousand: each must end as rows or as an error of kbsync."""

from __future__ import annotations

import logging
import warnings

import structlog

from tests.evidence.hardening.parts import Measured
from tests.support.fuzzing import fuzz

CASES = 100_000
PULLS = 200
"""So many of them are pulls into a ledger."""


def measure(seed: int) -> Measured:
    """Break answers and count what ends as any other error."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome = fuzz(CASES, seed, pulls=PULLS)
    finally:
        structlog.configure(**before)
    details = {"taken": outcome.taken, "refused": dict(outcome.refused.most_common()), "untyped": outcome.untyped[:20]}
    return Measured(
        figures={"fuzz.cases": outcome.cases, "fuzz.untyped": len(outcome.untyped)}, details={**details, "pulls": PULLS}
    )
