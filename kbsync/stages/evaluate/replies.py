"""Ask a model once: the base's replies are kept as artifacts, and the version before is asked only what its own
evaluation does not hold."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.fact import FactKey
from kbsync.domain.version import PromptOutcome, Score
from kbsync.ports import UNWATCHED, ArtifactStore, LanguageModel, Perplexity, Work
from kbsync.stages.evaluate.question import Question

FORMAT = 1
"""Part of every key: replies of another format are not found."""
KIND = "replies"
"""The kind of these artifacts."""
TOP_TOKENS = 256
"""How many of the likeliest next tokens the divergence is taken over."""
MAX_PERPLEXITY = 1e30
"""Stands for a perplexity that is not finite: a record must hold a number, and no policy admits this one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says to one question."""

    answer: str
    score: Score | None
    """None where nothing is scored."""


class Identity(NamedTuple):
    """What makes two questions one, so that the reply of one serves the other."""

    group: str
    subject: str
    property: str
    prompt: str
    scored: bool
    expected: str
    """The first right answer."""


def identity(question: Question) -> Identity:
    """Of a question that is asked now."""
    return Identity(question.group, *question.key, question.prompt, bool(question.target), question.names[0])


def answered(outcome: PromptOutcome) -> Identity:
    """Of the question that an earlier evaluation asked."""
    scored = outcome.score is not None
    return Identity(outcome.group, outcome.subject, outcome.property, outcome.prompt, scored, outcome.expected)


class Replies:
    """Asks one model, and keeps what it said."""

    def __init__(
        self,
        model: LanguageModel,
        name: str,
        work: Work,
        *,
        answer_tokens: int,
        text_tokens: int,
        artifacts: ArtifactStore | None = None,
        known: Mapping[Identity, Reply] | None = None,
    ) -> None:
        """Bind the model.

        Args:
            model: The model, whose weights must be in place while it is asked.
            name: The model's name in the progress display.
            work: Shows the progress.
            answer_tokens: Largest length of greedy answers.
            text_tokens: The length of sampled texts in tokens, with their beginnings.
            artifacts: Keeps the replies. None: nothing is kept, as for a candidate, whose replies go into the ledger
                with its evaluation.
            known: Replies that an evaluation holds already.
        """
        self._model = model
        self._name = name
        self._work = work
        self._answer_tokens = answer_tokens
        self._text_tokens = text_tokens
        self._artifacts = artifacts
        self._known = dict(known or {})

    def to(self, questions: Sequence[Question], *, is_base: bool = False) -> list[Reply]:
        """A reply to each question.

        Replies are kept by fact: one artifact for all prompts of one group about it.

        Args:
            questions: What is asked.
            is_base: This is the base, which is not asked again what its verdicts hold.
        """
        groups: dict[tuple[FactKey, str], list[Question]] = defaultdict(list)
        for question in questions:
            if is_base and question.base_answer is not None and not question.target:
                self._known[identity(question)] = Reply(question.base_answer, None)
            if identity(question) not in self._known:
                groups[question.key, question.group].append(question)
        keys = {name: self._key("questions", _asked(group)) for name, group in groups.items()}
        stored = {name: self._get(key) for name, key in keys.items()}
        missing = [q for name, group in groups.items() if stored[name] is None for q in group]
        fresh = dict(zip(map(identity, missing), self._ask(missing, is_base=is_base), strict=True))
        for name, group in groups.items():
            if stored[name] is None:
                stored[name] = self._put(keys[name], [fresh[identity(q)] for q in group])
            self._known |= {identity(q): _reply(row) for q, row in zip(group, stored[name], strict=True)}
        return [self._known[identity(q)] for q in questions]

    def perplexity(self, texts: Sequence[str]) -> Perplexity:
        """As ``LanguageModel.perplexity``; one that is not finite becomes ``MAX_PERPLEXITY``."""

        def measure() -> list[float]:
            measured = self._model.perplexity(texts, work=self._work)
            value = measured.value if math.isfinite(measured.value) else MAX_PERPLEXITY
            return [value, measured.tokens]

        value, tokens = self._once("perplexity", list(texts), measure)
        return Perplexity(float(value), int(tokens))

    def texts(self, prompts: Sequence[str]) -> list[str]:
        """A sampled text for each prompt; one artifact a prompt."""
        length = self._text_tokens
        keys = [self._key("text", [prompt, length]) for prompt in prompts]
        stored = [self._get(key) for key in keys]
        missing = [prompt for prompt, text in zip(prompts, stored, strict=True) if text is None]
        self._work.start(f"texts of {self._name}", len(missing))
        fresh = iter(self._model.sample(missing, length=length, work=self._work) if missing else [])
        self._work.finish()
        return [
            str(text if text is not None else self._put(key, next(fresh)))
            for key, text in zip(keys, stored, strict=True)
        ]

    def next_tokens(self, prompts: Sequence[str]) -> list[dict[int, float]]:
        """The likeliest next tokens after each prompt (id → natural log-probability), for ``divergence``."""
        rows = self._once(
            "next tokens",
            [list(prompts), TOP_TOKENS],
            lambda: [list(map(list, row.items())) for row in self._model.next_tokens(prompts, top=TOP_TOKENS)],
        )
        return [{int(token): float(logprob) for token, logprob in row} for row in rows]

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """KL from ``reference``, which another model's ``next_tokens`` gave, after each prompt, in nats."""
        reference_hash = content_hash([[[t, p] for t, p in sorted(row.items())] for row in reference])
        inputs = [list(prompts), reference_hash]
        values = self._once("divergence", inputs, lambda: self._model.divergence(prompts, reference))
        return [float(value) for value in values]

    def _ask(self, questions: Sequence[Question], *, is_base: bool) -> list[Any]:
        """[answer, score or None] for each question, as it is stored."""
        answers = [q.base_answer if is_base else None for q in questions]
        self._work.start(f"evaluate {self._name}", answers.count(None))
        for further in sorted({q.further_tokens for q in questions}):
            missing = [n for n, q in enumerate(questions) if answers[n] is None and q.further_tokens == further]
            prompts, length = [questions[n].prompt for n in missing], self._answer_tokens + further
            fresh = self._model.complete(prompts, max_new_tokens=length, work=self._work) if prompts else []
            for n, answer in zip(missing, fresh, strict=True):
                answers[n] = answer
        self._work.finish()
        return [[answer, score] for answer, score in zip(answers, self._scores(questions), strict=True)]

    def _scores(self, questions: Sequence[Question]) -> list[list[Any] | None]:
        """[probability, strict, success] for each question with a target."""
        pairs = [
            (prompt, name)
            for q in questions
            if q.target
            for prompt in (q.prompt, *([q.control] if q.control else []))
            for name in (q.target, q.rival)
        ]
        unshown = self._work.shown_by(UNWATCHED.progress)  # a stop is noticed, and a lease renewed, while workers score
        scores = iter(self._model.scores(pairs, work=unshown) if pairs else [])
        rows: list[list[Any] | None] = []
        for question in questions:
            if not question.target:
                rows.append(None)
                continue
            target, rival = next(scores), next(scores)
            margin = rival.nll - target.nll
            other = -next(scores).nll + next(scores).nll if question.control else 0.0
            rows.append([math.exp(-target.nll), target.strict, margin > other])
        return rows

    def _once(self, what: str, inputs: Any, measure: Callable[[], Any]) -> Any:
        key = self._key(what, inputs)
        stored = self._get(key)
        if stored is not None:
            return stored
        self._work.start(f"{what} of {self._name}", None)
        value = self._put(key, measure())
        self._work.finish()
        return value

    def _key(self, what: str, inputs: Any) -> str:
        return content_hash([FORMAT, self._model.fingerprint, what, self._answer_tokens, inputs])

    def _get(self, key: str) -> Any:
        stored = self._artifacts.get(KIND, key) if self._artifacts else None
        return None if stored is None else json.loads(stored)

    def _put(self, key: str, value: Any) -> Any:
        if self._artifacts:
            self._artifacts.put(KIND, key, canonical_json(value).encode())
        return value


def _asked(group: Iterable[Question]) -> Any:
    return plain(
        [
            [q.prompt, q.target, q.rival] + ([q.control, q.further_tokens] if q.control or q.further_tokens else [])
            for q in group
        ]
    )


def _reply(row: Any) -> Reply:
    """From [answer, score or None], as it is stored."""
    answer, score = row
    if score is None:
        return Reply(answer, None)
    probability, strict, success = score
    return Reply(answer, Score(probability=probability, strict=strict, success=success))
