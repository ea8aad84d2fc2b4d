"""What an edited model is measured by: the same prompts and texts for base, candidate and predecessor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from kbsync.domain.canonical import content_hash
from kbsync.domain.ending import ending
from kbsync.domain.errors import EditError, ModelError, ServerError
from kbsync.domain.gate import GateDecision, Metric, Reason, Threshold, decide
from kbsync.domain.judging import asserts, judge
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.version import PromptOutcome
from kbsync.ports import ArtifactStore, BaseModel, Delta, LanguageModel, Work
from kbsync.stages.evaluate.language import language_metrics, sample_language
from kbsync.stages.evaluate.metrics import needed_groups, shares
from kbsync.stages.evaluate.predecessor import Predecessor
from kbsync.stages.evaluate.question import (
    DENIAL,
    EDITED,
    NEAR_NAME,
    NOT_EDITED,
    STOP,
    STOP_KNOWN,
    EvaluationSize,
    Question,
)
from kbsync.stages.evaluate.question_set import questions
from kbsync.stages.evaluate.replies import Identity, Replies, Reply, answered
from kbsync.stages.evaluate.served import Complete
from kbsync.stages.evaluate.served_figures import check_form, lost_edits, provisional, served_metrics, with_lost
from kbsync.stages.facts import BelievedFacts
from kbsync.system.log import logger


class Batch(Protocol):
    """Facts that are written together: an edit plan, or the manifest of a version."""

    @property
    def requests(self) -> tuple[EditRequest, ...]: ...

    @property
    def guards(self) -> tuple[Guard, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one delta."""

    metrics: tuple[Metric, ...]
    outcomes: tuple[PromptOutcome, ...] = ()
    norm_growth: Mapping[str, float] = field(default_factory=dict)
    """‖W + Δ‖ / ‖W‖ − 1 of each edited parameter."""
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By form in which the version is served, the edited facts that it loses there."""
    broken: str = ""
    """Why the edited model could not be asked at all; empty where it could."""

    def decision(self, policy: Sequence[Threshold]) -> GateDecision:
        """What the gate says of it, with every reason."""
        if self.broken:
            return GateDecision(passed=False, reasons=(Reason(metric="finite", holds=False, text=self.broken),))
        decision = decide(self.metrics, policy)
        return replace(decision, reasons=tuple(with_lost(r, self.lost) for r in decision.reasons))


class Measures(Protocol):
    """What measures a candidate on its base: ``Measurement`` of language models, and what measures pictures."""

    def candidate(self, delta: Delta, batch: Batch, number: int, before: Predecessor) -> Measured:
        """All figures of version ``number``, which holds ``batch``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Measures deltas on one base; made once a cycle, and used for the candidate and every trial build."""

    base: BaseModel
    artifacts: ArtifactStore
    """Keeps what the base replied, so that it is asked once."""
    facts: BelievedFacts
    size: EvaluationSize
    answer_tokens: int
    """Largest length of greedy answers, in tokens."""
    held_out: Sequence[str]
    """Texts for the perplexity."""
    neutral: Sequence[str]
    """Prompts for the divergence from the base; it is not measured where there are none."""
    work: Work
    served_as: Mapping[str, Callable[[Delta], AbstractContextManager[Complete]]] = field(default_factory=dict)
    """Forms in which a version is served: each puts a delta in place and yields what asks it."""

    def candidate(self, delta: Delta, batch: Batch, number: int, before: Predecessor) -> Measured:
        """All figures of version ``number``, which holds ``batch``.

        A model that gives no finite numbers is broken, which is no error.
        """
        asked = self._fitting(questions(self.facts, batch.requests, batch.guards, self.size, before.first_holders))
        measured = self._measure(delta, asked, batch.requests, number, before, only=None)
        return measured if measured.broken else self._as_served(delta, measured, number, before)

    def _as_served(self, delta: Delta, measured: Measured, number: int, before: Predecessor) -> Measured:
        """The same with the figures of every form of serving, and the facts that each loses."""
        metrics, lost = list(measured.metrics), dict[str, tuple[str, ...]]()
        evaluation = provisional(number, measured.metrics, measured.outcomes, before.number)
        for form, opened in self.served_as.items():
            self.work.start(f"as {form}", None)
            try:
                with opened(delta) as complete:
                    check = check_form(complete, evaluation, self.facts)
            except (ModelError, EditError, ServerError) as error:
                return replace(measured, broken=f"the version can't be asked as {form}: {error.what}")
            self.work.finish(f"{len(check.lost)} of {check.asked} answers lost")
            metrics += served_metrics(form, check, measured.metrics)
            lost[form] = lost_edits(check)
        return replace(measured, metrics=tuple(metrics), lost=lost)

    def trial(
        self, delta: Delta, requests: Sequence[EditRequest], batch: Batch, before: Predecessor, only: Collection[str]
    ) -> Measured:
        """The figures ``only`` of a trial build that holds a part of ``batch``.

        It is asked about the neighbours of the whole batch: a fact that is left out would otherwise take the facts that
        it damaged out of sight. What the trial build holds is no version's, so nothing is said about retention.
        """
        held, groups = {request.key for request in requests}, needed_groups(only)
        asked = [
            question
            for question in self._fitting(questions(self.facts, batch.requests, batch.guards, self.size, {}))
            if question.group in groups and (question.key in held or question.group in NOT_EDITED)
        ]
        return self._measure(delta, asked, requests, 0, before, only=only)

    def _fitting(self, asked: Sequence[Question]) -> list[Question]:
        """The questions that fit the model's context with their answers; what does not is left out with a warning.

        An alias or a sentence around the question may be longer than what probing asked.
        """
        model = self.base.language_model()
        longest = [max((q.target, q.rival), key=len) for q in asked]
        room = self.answer_tokens + max((q.further_tokens for q in asked), default=0)
        texts = [f"{q.prompt} {name}" for q, name in zip(asked, longest, strict=True)]
        controls = [f"{q.control} {name}" for q, name in zip(asked, longest, strict=True)]
        over = zip(model.too_long(texts, room=room), model.too_long(controls), strict=True)
        fits = [not (one or other) for one, other in over]
        if left_out := [q for q, fit in zip(asked, fits, strict=True) if not fit]:
            example = left_out[0]
            logger().warning(
                "questions left out", count=len(left_out), group=example.group, fact=str(example.key), reason="too long"
            )
        return [q for q, fit in zip(asked, fits, strict=True) if fit]

    def _measure(
        self,
        delta: Delta,
        asked: Sequence[Question],
        requests: Sequence[EditRequest],
        number: int,
        before: Predecessor,
        only: Collection[str] | None,
    ) -> Measured:
        beginnings = _beginnings(requests, self.size.texts)
        base = self._replies(self.base.language_model(), "base", artifacts=self.artifacts)
        base_replies = base.to(asked, is_base=True)
        base_language = sample_language(base, self.held_out, beginnings, only)
        divergent = bool(self.neutral) and (only is None or "divergence" in only)
        neutral = base.next_tokens(self.neutral) if divergent else []
        try:
            with self.base.edited(delta) as model:
                candidate = self._replies(model, "candidate")
                replies = candidate.to(asked)
                language = sample_language(candidate, self.held_out, beginnings, only)
                divergence = candidate.divergence(self.neutral, neutral) if divergent else []
            growth = self.base.norm_growth(delta)
        except (ModelError, EditError) as error:
            return Measured(metrics=(), broken=f"the edited model can't be asked: {error.what}")
        outcomes = tuple(map(_outcome, asked, base_replies, replies, self._previous_replies(before, asked)))
        metrics = (
            *shares(outcomes, number),
            *language_metrics(language, base_language, divergence, before.metric),
            _norm_growth(growth, before),
        )
        return Measured(metrics=metrics, outcomes=outcomes, norm_growth=growth)

    def _previous_replies(self, before: Predecessor, asked: Sequence[Question]) -> Sequence[Reply | None]:
        """What the predecessor says; it is asked only what its own evaluation does not hold."""
        if before.delta is None:
            return [None] * len(asked)
        outcomes = before.evaluation.outcomes if before.evaluation else ()
        known = {answered(outcome): Reply(outcome.answer, outcome.score) for outcome in outcomes}
        with self.base.edited(before.delta) as model:
            return self._replies(model, "the version before", known=known).to(asked)

    def _replies(
        self,
        model: LanguageModel,
        name: str,
        *,
        artifacts: ArtifactStore | None = None,
        known: Mapping[Identity, Reply] | None = None,
    ) -> Replies:
        return Replies(
            model,
            name,
            self.work,
            answer_tokens=self.answer_tokens,
            text_tokens=self.size.text_tokens,
            artifacts=artifacts,
            known=known,
        )


def _norm_growth(growth: Mapping[str, float], before: Predecessor) -> Metric:
    """Of the parameter that grew most."""
    known = before.metric("norm_growth")
    return Metric(
        name="norm_growth",
        value=max(growth.values(), default=0.0),
        base=0.0,
        samples=max(1, len(growth)),
        previous=known.value if known else None,
    )


def _beginnings(requests: Sequence[EditRequest], count: int) -> list[str]:
    """Prompts that begin a text about an edited subject, a sample drawn by hash."""
    names = sorted({r.subject for r in requests}, key=content_hash)
    return [f"{name} is" for name in sorted(names[:count])]


def _outcome(question: Question, base: Reply, edited: Reply, before: Reply | None) -> PromptOutcome:
    return PromptOutcome(
        group=question.group,
        subject=question.key.subject,
        property=question.key.property,
        prompt=question.prompt,
        expected=question.names[0],
        base_answer=base.answer,
        answer=edited.answer,
        base_right=_is_right(question, base),
        right=_is_right(question, edited),
        since=question.since if question.group == EDITED else 0,
        score=edited.score,
        base_score=base.score,
        previous_answer=before.answer if before else None,
        previous_right=_is_right(question, before) if before else None,
        previous_score=before.score if before else None,
        ending=_ending(question, edited),
        base_ending=_ending(question, base),
    )


def _is_right(question: Question, reply: Reply) -> bool:
    """Whether the reply is right: the answer that it must give, or, for a near name, the one that it must not give."""
    if question.group == DENIAL:
        return reply.score is not None and reply.score.success
    if question.group == NEAR_NAME:
        return not asserts(reply.answer, question.wrong, prompt=question.prompt)
    return asserts(reply.answer, question.names, prompt=question.judged_as or question.prompt)


def _ending(question: Question, reply: Reply) -> str:
    """How a right answer ends, where the question looks at that; else empty."""
    if question.group not in (STOP, STOP_KNOWN) or not _is_right(question, reply):
        return ""
    named = judge(reply.answer, question.names, prompt=question.prompt).matched
    return (ending(reply.answer, named, question.wrong) or "") if named else ""
