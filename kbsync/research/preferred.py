"""The cases that a base has right: only these show what an edit breaks.

A neighbour of CounterFact counts as right if the true answer is likelier than the new one. A small model has many of
them wrong before any edit, and an editor can't raise the specificity above the base's. Among the cases that the base
has right, every neighbour that is wrong afterwards was broken by the edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise

from kbsync.domain.errors import DataError
from kbsync.research.cases import Chosen, cases_hash
from kbsync.research.counterfact import CounterfactCase
from kbsync.research.grid import Bench
from kbsync.research.result_cache import MEASURED_BY, ResultCache

CHUNK = 50


def preferred(bench: Bench, cases: Sequence[CounterfactCase], count: int) -> Chosen[CounterfactCase]:
    """The first ``count`` cases whose true answer is likelier to the base than the new one.

    That must hold after the edited prompt and after every neighbour. The results of every ``CHUNK`` cases are kept.

    Raises:
        DataError: There are fewer than ``count``.
        Stopped: A stop was asked for; raised between two parts.
    """
    parts = ResultCache(bench.artifacts, "bench-known", MEASURED_BY)
    chosen: list[CounterfactCase] = []
    asked = 0
    bench.work.start("cases that the base has right", count)
    for begin in range(0, len(cases), CHUNK):
        chunk = cases[begin : begin + CHUNK]
        right = parts.make(partial(_right, bench, chunk), base=bench.base.fingerprint, cases=cases_hash(chunk))
        for case, holds in zip(chunk, right, strict=True):
            asked += 1
            if holds:
                chosen.append(case)
                bench.work.advance()
            if len(chosen) == count:
                bench.work.finish(f"{count} of {asked}")
                return Chosen(chosen, asked)
    raise DataError(
        f"{count} cases were asked for, and the base has {len(chosen)} of {asked} right.",
        next_step="Ask for fewer edits, or leave out --known.",
    )


def _right(bench: Bench, cases: Sequence[CounterfactCase]) -> list[bool]:
    prompts = [[case.prompt, *case.neighbours] for case in cases]
    pairs = [
        (prompt, answer)
        for case, own in zip(cases, prompts, strict=True)
        for prompt in own
        for answer in (case.true, case.target)
    ]
    scores = bench.base.language_model().scores(pairs)
    prefers = [true.nll < new.nll for true, new in zip(scores[::2], scores[1::2], strict=True)]
    ends = list(accumulate(map(len, prompts), initial=0))
    return [all(prefers[begin:end]) for begin, end in pairwise(ends)]
