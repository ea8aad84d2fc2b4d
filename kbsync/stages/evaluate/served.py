"""Ask a version's prompts again, of whatever serves it, and judge the answers as the gate did.

Serving may change what a version says: another quantisation, a cut adapter, an adapter that was not loaded, a server
that was left on an older version. Each is seen in the answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.gate import GateDecision, Metric, Reason, Threshold, decide
from kbsync.domain.judging import asserts
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.stages.evaluate.metrics import needed_groups, shares
from kbsync.stages.evaluate.question import DENIAL, EDITED, NEAR_NAME, STOP, STOP_KNOWN

Complete = Callable[[Sequence[str]], Sequence[str]]
"""Continues prompts greedily: the continuations without their prompts, each cut at the first newline."""
_OTHERWISE = frozenset({DENIAL, NEAR_NAME, STOP, STOP_KNOWN})
"""Groups that are judged by scores, by wrong answers or by longer ones: a greedy answer does not tell."""
_MOSTLY = 2 / 3
_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFact:
    """A prompt that was answered rightly when the version was measured, and is not as it is served."""

    group: str
    """As in an evaluation: `edited`, `neighbour`, …"""
    subject: str
    property: str
    prompt: str
    expected: str
    answer: str
    """What the server says."""
    stale: bool
    """It says what the base or the version before said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFigure:
    """A share of right answers."""

    name: str
    """As the gate calls it."""
    served: float
    measured: float
    """Of the same prompts, when the version was measured."""
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCheck:
    """How well a version answers as it is served."""

    version: int
    """0: the base is current, and nothing was asked."""
    asked: int
    """The number of prompts."""
    same: int
    """How many of them were answered in the very words of the evaluation."""
    figures: tuple[ServedFigure, ...]
    lost: tuple[LostFact, ...]
    decision: GateDecision
    """Of the gate's policy, on the figures that greedy answers give."""
    finding: str
    """What is likely wrong; empty where the policy holds."""

    def figure(self, name: str) -> ServedFigure | None:
        """The figure of this name."""
        return next((f for f in self.figures if f.name == name), None)


AS = "@"
"""Between a figure's name and that of the form in which the version is served: ``efficacy@bfloat16``."""
NOTHING = ServedCheck(
    version=0, asked=0, same=0, figures=(), lost=(), decision=GateDecision(passed=True, reasons=()), finding=""
)
"""There is nothing to ask the base."""


def served_prompts(
    evaluation: Evaluation, policy: Sequence[Threshold], sample: int | None = None, only: Iterable[str] = ()
) -> list[PromptOutcome]:
    """The prompts of an evaluation that the policy's figures rest on and that greedy answers can tell of.

    Args:
        evaluation: How the version was measured.
        policy: The gate's.
        sample: Largest number of prompts of each group, drawn by hash; None: all.
        only: Groups; empty: those that the policy needs.
    """
    groups = set(only) or needed_groups({t.metric.partition(AS)[0] for t in policy}) | {EDITED}
    by_group: dict[str, list[PromptOutcome]] = defaultdict(list)
    for outcome in evaluation.outcomes:
        if outcome.group in groups - _OTHERWISE:
            by_group[outcome.group].append(outcome)
    chosen: list[PromptOutcome] = []
    for outcomes in by_group.values():
        ranked = sorted(outcomes, key=lambda o: content_hash([o.subject, o.property, o.prompt]))
        chosen += ranked[:sample]
    return chosen


def check_served(
    complete: Complete,
    evaluation: Evaluation,
    chosen: Sequence[PromptOutcome],
    policy: Sequence[Threshold],
    names: Mapping[tuple[str, str], Sequence[str]],
) -> ServedCheck:
    """Ask and judge.

    Args:
        complete: Asks whatever serves the version.
        evaluation: How the version was measured.
        chosen: What is asked.
        policy: The gate's.
        names: By item and property, the names of the fact's right answers as the ledger has them now.
    """
    answers = complete([outcome.prompt for outcome in chosen])
    served = [_asked_again(o, answer, names) for o, answer in zip(chosen, answers, strict=True)]
    metrics = shares([replace(o, score=None) for o in served], evaluation.version)
    measured = {m.name: m.value for m in shares([replace(o, score=None) for o in chosen], evaluation.version)}
    lost = tuple(_lost(was, now.answer) for was, now in zip(chosen, served, strict=True) if was.right and not now.right)
    decision = _decision(metrics, policy)
    return ServedCheck(
        version=evaluation.version,
        asked=len(chosen),
        same=sum(was.answer == now.answer for was, now in zip(chosen, served, strict=True)),
        figures=tuple(
            ServedFigure(name=m.name, served=m.value, measured=measured[m.name], samples=m.samples) for m in metrics
        ),
        lost=lost,
        decision=decision,
        finding="" if decision.passed else _finding(chosen, served, lost, evaluation.previous),
    )


def _asked_again(outcome: PromptOutcome, answer: str, names: Mapping[tuple[str, str], Sequence[str]]) -> PromptOutcome:
    """The outcome with the served answer, which is right in the same words as before, or by any name of the fact."""
    known = names.get((outcome.subject, outcome.property), ())
    right_names = tuple(known) if outcome.expected in known else (outcome.expected,)
    same = outcome.right and answer == outcome.answer
    return replace(outcome, answer=answer, right=same or asserts(answer, right_names, prompt=outcome.prompt))


def _decision(metrics: Sequence[Metric], policy: Sequence[Threshold]) -> GateDecision:
    """The policy on the figures that there are; a sample may be smaller than the policy's least."""
    samples = {m.name: m.samples for m in metrics}
    judged = [replace(t, min_samples=min(t.min_samples, samples[t.metric])) for t in policy if t.metric in samples]
    if judged:
        return decide(metrics, judged)
    text = "the policy has no threshold on anything that greedy answers tell"
    return GateDecision(passed=False, reasons=(Reason(metric="efficacy", holds=False, text=text),))


def _lost(was: PromptOutcome, answer: str) -> LostFact:
    before = [text for text in (was.base_answer, was.previous_answer) if text]
    return LostFact(
        group=was.group,
        subject=was.subject,
        property=was.property,
        prompt=was.prompt,
        expected=was.expected,
        answer=answer,
        stale=any(_alike(answer, text) for text in before),
    )


def _alike(one: str, other: str) -> bool:
    """Whether two answers begin with the same words: another rounding changes an answer later on, if at all."""
    words = normalise(one).split()[:_WORDS]
    return bool(words) and words == normalise(other).split()[:_WORDS]


def _finding(
    chosen: Sequence[PromptOutcome], served: Sequence[PromptOutcome], lost: Sequence[LostFact], previous: int
) -> str:
    """What the answers look like."""
    edited = [fact for fact in lost if fact.group == EDITED]
    stale = sum(fact.stale for fact in edited)
    if not edited or stale < _MOSTLY * len(edited):
        return (
            "The answers are neither this version's nor an older one's: look for another quantisation than the one "
            "that was edited, an adapter that was cut to a lower rank, or other sampling than greedy."
        )
    held = [(a, b) for a, b in zip(chosen, served, strict=True) if a.group == EDITED and a.right and a.previous_right]
    held = [(a, b) for a, b in held if not a.base_right]
    if previous and held and sum(b.right for _, b in held) >= _MOSTLY * len(held):
        return f"It answers as version {previous} does: the server was not told of the move, or has not loaded it yet."
    return "It answers as the unedited base does: the adapter is not loaded, or its scale is 0."
