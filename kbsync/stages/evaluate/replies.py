"""Ask a model once: what the base said to one text is kept as an artifact, so that it is measured once, and the version
before is asked only what it was not asked in its own evaluation."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.version import Score
from kbsync.ports import ArtifactStore, LanguageModel, Perplexity, Work
from kbsync.stages.evaluate.questions import Question

FORMAT = 1
KIND = "replies"
TOP = 256


@dataclass(frozen=True, slots=True)
class Reply:
    """What was said to one question. ``score`` is None where nothing is scored."""

    answer: str
    score: Score | None


Identity = tuple[Any, ...]


class Replies:
    """One model's replies. ``artifacts`` keeps them (None: nothing is kept, as for a candidate, whose replies go into the
    ledger with its evaluation); ``known`` are those that an evaluation holds already."""

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
        self._model = model
        self._artifacts = artifacts
        self._name = name
        self._work = work
        self._answer_tokens = answer_tokens
        self._text_tokens = text_tokens
        self._known = dict(known or {})

    def to(self, asked: Sequence[Question], *, verdicts: bool = False) -> list[Reply]:
        """A reply to each question; ``verdicts``: this is the base, which is not asked again what its verdicts say.

        What is kept is kept by fact: one artifact for all prompts of one group about it.
        """
        groups: dict[Identity, list[Question]] = defaultdict(list)
        for question in asked:
            if verdicts and question.base_answer is not None and not question.target:
                self._known[identity(question)] = Reply(question.base_answer, None)
            if identity(question) not in self._known:
                groups[question.key, question.group].append(question)
        keys = {name: self._key("questions", _asked(group)) for name, group in groups.items()}
        found = {name: self._get(key) for name, key in keys.items()}
        missing = [q for name, group in groups.items() if found[name] is None for q in group]
        fresh = dict(zip(map(identity, missing), self._ask(missing, verdicts=verdicts), strict=True))
        for name, group in groups.items():
            if found[name] is None:
                found[name] = self._put(keys[name], [fresh[identity(q)] for q in group])
            self._known |= {identity(q): _reply(said) for q, said in zip(group, found[name], strict=True)}
        return [self._known[identity(q)] for q in asked]

    def perplexity(self, texts: Sequence[str]) -> Perplexity:
        """As ``LanguageModel.perplexity``; a model that is beyond all numbers gets the largest that can be kept."""

        def measure() -> list[float]:
            measured = self._model.perplexity(texts, work=self._work)
            return [_finite(measured.value), measured.tokens]

        value, tokens = self._once("perplexity", list(texts), measure)
        return Perplexity(float(value), int(tokens))

    def texts(self, prompts: Sequence[str]) -> list[str]:
        """A sampled text for each prompt, one artifact a prompt."""
        length = self._text_tokens
        keys = [self._key("text", [prompt, length]) for prompt in prompts]
        found = [self._get(key) for key in keys]
        missing = [p for p, known in zip(prompts, found, strict=True) if known is None]
        self._work.start(f"texts of {self._name}", len(missing))
        fresh = iter(self._model.sample(missing, length=length, work=self._work) if missing else [])
        self._work.finish()
        return [
            str(known if known is not None else self._put(key, next(fresh)))
            for key, known in zip(keys, found, strict=True)
        ]

    def next_tokens(self, prompts: Sequence[str]) -> list[dict[int, float]]:
        """The likeliest next tokens, the reference of ``divergence``."""
        rows = self._once(
            "next tokens",
            [list(prompts), TOP],
            lambda: [list(map(list, row.items())) for row in self._model.next_tokens(prompts, top=TOP)],
        )
        return [{int(token): float(logprob) for token, logprob in row} for row in rows]

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """KL from the reference after each prompt, in nats."""
        told = content_hash([[[t, p] for t, p in sorted(row.items())] for row in reference])
        asked = [list(prompts), told]
        return [float(v) for v in self._once("divergence", asked, lambda: self._model.divergence(prompts, reference))]

    def _ask(self, asked: Sequence[Question], *, verdicts: bool) -> list[Any]:
        known = [q.base_answer if verdicts else None for q in asked]
        prompts = [q.prompt for q, answer in zip(asked, known, strict=True) if answer is None]
        self._work.start(f"evaluate {self._name}", len(prompts))
        said = iter(
            self._model.complete(prompts, max_new_tokens=self._answer_tokens, work=self._work) if prompts else []
        )
        answers = [next(said) if answer is None else answer for answer in known]
        self._work.finish()
        return [[answer, score] for answer, score in zip(answers, self._scored(asked), strict=True)]

    def _scored(self, asked: Sequence[Question]) -> list[list[Any] | None]:
        pairs = [(q.prompt, name) for q in asked if q.target for name in (q.target, q.rival)]
        scores = iter(self._model.scores(pairs) if pairs else [])
        found: list[list[Any] | None] = []
        for question in asked:
            if not question.target:
                found.append(None)
                continue
            target, rival = next(scores), next(scores)
            found.append([math.exp(-target.nll), target.strict, target.nll < rival.nll])
        return found

    def _once(self, what: str, asked: Any, measure: Callable[[], Any]) -> Any:
        key = self._key(what, asked)
        known = self._get(key)
        if known is not None:
            return known
        self._work.start(f"{what} of {self._name}", None)
        value = self._put(key, measure())
        self._work.finish()
        return value

    def _key(self, what: str, asked: Any) -> str:
        return content_hash([FORMAT, self._model.fingerprint, what, self._answer_tokens, asked])

    def _get(self, key: str) -> Any:
        stored = self._artifacts.get(KIND, key) if self._artifacts else None
        return None if stored is None else json.loads(stored)

    def _put(self, key: str, value: Any) -> Any:
        if self._artifacts:
            self._artifacts.put(KIND, key, canonical_json(value).encode())
        return value


EXPLODED = 1e30


def _finite(perplexity: float) -> float:
    # A candidate that explodes has no finite perplexity, and a record must hold a number that no policy admits.
    return perplexity if math.isfinite(perplexity) else EXPLODED


def identity(question: Question) -> Identity:
    """What makes two questions one: a version before is known to have been asked the same."""
    return question.group, tuple(question.key), question.prompt, bool(question.target), question.names[0]


def _asked(group: Iterable[Question]) -> Any:
    return plain([[q.prompt, q.target, q.rival] for q in group])


def _reply(said: Any) -> Reply:
    answer, scored = said
    if scored is None:
        return Reply(answer, None)
    probability, strict, success = scored
    return Reply(answer, Score(probability=probability, strict=strict, success=success))
