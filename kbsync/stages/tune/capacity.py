"""How many facts a recipe holds, as far as a search shows it."""

from __future__ import annotations

from collections.abc import Sequence

from kbsync.stages.tune.search import Trial

FARTHEST = 4
"""Nothing is foretold for more than so many times the facts that were written."""


def foretold_capacity(trials: Sequence[Trial], growth_bound: float | None) -> int:
    """Number of facts up to which a recipe should hold the gate's bounds.

    The perplexity grows about linearly with the number of facts while an edit is sound, so a straight line through the
    origin foretells where it reaches its bound. A trial that missed a bound caps it.

    Args:
        trials: Of one recipe, of any sizes.
        growth_bound: How much the perplexity may grow, as a share; None: there is no such bound.
    """
    sound = [trial.facts for trial in trials if not trial.short and not trial.broken]
    missed = [trial.facts for trial in trials if trial.short or trial.broken]
    if not sound:
        return 0
    largest = max(sound)
    ahead = FARTHEST * largest
    steepest = max((trial.growth / trial.facts for trial in trials if not trial.broken), default=0.0)
    if growth_bound is not None and steepest > 0:
        ahead = min(ahead, int(growth_bound / steepest))
    beyond = min((facts for facts in missed if facts > largest), default=None)
    return max(largest, ahead) if beyond is None else min(max(largest, ahead), beyond - 1)
