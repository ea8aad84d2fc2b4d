"""A language model that is a table, a base that edits the table, and an editor that writes into it.

They subclass the ports and pass the conformance suite beside the real transformer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ModelError, WrongWeights
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite, joint
from kbsync.domain.version import EditReport, LayerReport
from kbsync.ports import UNWATCHED, BaseModel, Delta, Edit, Editor, LanguageModel, PairScore, Perplexity, Work


class TableModel(LanguageModel):
    """Answers a prompt by the longest key that the prompt ends with; anything else with `` something``."""

    def __init__(self, answers: Mapping[str, str], perplexity: float = 20.0) -> None:
        self.answers = dict(answers)
        self.fingerprint = content_hash(self.answers)
        self.asked: list[str] = []
        """Every prompt that was given to ``complete``."""
        self._perplexity = perplexity
        self.away = False
        """Whether other weights are in place, so that nothing may be asked."""

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        self._check()
        self.asked += prompts
        for _ in prompts:
            work.advance()
        return [self._answer(prompt) for prompt in prompts]

    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> Perplexity:
        self._check()
        return Perplexity(self._perplexity, sum(len(text.split()) for text in texts))

    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """The table's answer is likely and greedy, anything else neither."""
        right = [self._answer(prompt).startswith(f"{joint(prompt)}{answer}") for prompt, answer in pairs]
        return [PairScore(0.5, (True,)) if is_right else PairScore(20.0, (False,)) for is_right in right]

    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        return [f"{prompt}{self._answer(prompt)}" for prompt in prompts]

    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        """All mass on one token, which stands for the answer."""
        return [{_token(self._answer(prompt)): 0.0} for prompt in prompts]

    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """0 where the answer is the reference's, 10 nats where it is another."""
        return [
            0.0 if _token(self._answer(prompt)) in known else 10.0
            for prompt, known in zip(prompts, reference, strict=True)
        ]

    def _check(self) -> None:
        if self.away:
            raise WrongWeights("other weights are in place")

    def _answer(self, prompt: str) -> str:
        self._check()
        keys = [key for key in self.answers if prompt.endswith(key)]
        return self.answers[max(keys, key=len)] if keys else " something"


def _token(text: str) -> int:
    """A number that stands for the text."""
    return int(content_hash(text)[:6], 16)


@dataclass(frozen=True)
class TableDelta(Delta):
    """Entries that replace those of a table."""

    entries: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(sorted(self.entries))


class TableBase(BaseModel):
    """A table, and the tables that deltas make of it; how edits go wrong is set on its attributes."""

    def __init__(self, answers: Mapping[str, str], damage: Mapping[str, str] | None = None) -> None:
        self.model = TableModel(answers)
        self.fingerprint = self.model.fingerprint
        self.damage = dict(damage or {})
        """Entries of every edited table: what a bad edit breaks elsewhere."""
        self.harm: dict[str, dict[str, str]] = {}
        """By edited prompt, entries of the table that is edited at it: what this one edit breaks elsewhere."""
        self.perplexity = 20.0
        """Of every edited table."""
        self.growth = 0.01
        """Relative growth of every edited parameter's norm."""
        self.broken = ""
        """Why no edited table can be asked; empty where it can."""

    def language_model(self) -> LanguageModel:
        return self.model

    @contextmanager
    def edited(self, delta: Delta) -> Iterator[LanguageModel]:
        assert isinstance(delta, TableDelta)
        if self.broken:
            raise ModelError(self.broken)
        if self.model.away:
            raise WrongWeights("another delta is in place already")
        harm = {key: answer for prompt in delta.entries for key, answer in self.harm.get(prompt, {}).items()}
        self.model.away = True
        try:
            yield TableModel(self.model.answers | self.damage | delta.entries | harm, self.perplexity)
        finally:
            self.model.away = False

    def norm_growth(self, delta: Delta) -> dict[str, float]:
        return dict.fromkeys(delta.parameters, self.growth)


class TableEditor(Editor):
    """Writes rewrites into a delta, one entry each."""

    def __init__(self, refuse: Mapping[str, str] | None = None) -> None:
        self.refuse = dict(refuse or {})
        """By subject that it leaves out, the reason."""
        self.calls = 0
        """How many edits were made."""
        self.guarded: set[str] = set()
        """Ids of the guards of the last edit."""

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        self.calls += 1
        self.guarded = {g.id for g in guards}
        written = [r for r in rewrites if r.subject not in self.refuse]
        left_out = {r.id: self.refuse[r.subject] for r in rewrites if r.subject in self.refuse}
        delta = TableDelta({r.prompt: f"{joint(r.prompt)}{r.target}" for r in written})
        layers = tuple(
            LayerReport(layer=n, residual_before=1.0, residual_after=0.1, delta_ratio=0.01, condition=10.0)
            for n in recipe.layers
        )
        report = EditReport(layers=layers, losses={r.id: 0.01 for r in written}, left_out=left_out)
        targets = {r.id: content_hash(r.id) for r in written}
        return Edit(delta, report, targets, covariance_fingerprint="table", libraries={})
