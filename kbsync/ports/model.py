"""The model as a stage sees it: it answers, an editor computes a change of it, and the change is put in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport
from kbsync.ports.work import UNWATCHED, Work


@dataclass(frozen=True, slots=True)
class PairScore:
    """How well a model predicts an answer after its prompt, teacher-forced."""

    nll: float
    """Mean negative log-likelihood of the answer's tokens, in nats."""
    hits: tuple[bool, ...]
    """For each token of the answer, whether it is the model's likeliest next token."""

    @property
    def strict(self) -> bool:
        """All tokens are the likeliest: greedy decoding would say exactly this."""
        return all(self.hits)

    @property
    def logprob(self) -> float:
        """Natural log-probability of the whole answer."""
        return -self.nll * len(self.hits)


@dataclass(frozen=True, slots=True)
class Perplexity:
    """How well a model predicts running text."""

    value: float
    """exp of the mean negative log-likelihood of the predicted tokens."""
    tokens: int
    """The number of predicted tokens."""


class LanguageModel(ABC):
    """A causal language model that answers. Texts come without special tokens.

    Every method raises ``WrongWeights`` where other weights than those of ``fingerprint`` are in place, ``ModelError``
    where a text does not fit the context or a prediction is not finite, and ``DataError`` where a text gives no token.
    """

    fingerprint: str
    """Hash of weights, tokenizer and dtype."""
    control_tokens: frozenset[str] = frozenset()
    """Texts that the model reads as control tokens wherever they stand. A label that holds one is not to be asked."""

    lanes: int = 1
    """Lists that are best given to ``complete_each`` and ``scores_each`` together: more than 1 where several workers
    share them."""

    def too_long(self, texts: Sequence[str], *, room: int = 0) -> list[bool]:
        """For each text, whether it does not fit the context with ``room`` more tokens, or holds a token that is beyond
        the model's vocabulary. By default all fit."""
        del room
        return [False for _ in texts]

    def spells(self, name: str) -> bool:
        """Whether the model has tokens for all of a name. By default it has."""
        del name
        return True

    @abstractmethod
    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        """Continue each prompt greedily.

        Returns:
            The continuations without their prompts, each cut at the first newline.
        """

    @abstractmethod
    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """Score each (prompt, answer).

        Args:
            pairs: The answers come without the blank between prompt and answer, which is the adapter's to add where
                the prompt does not end in whitespace (``joint``).
            work: Advances by pairs.
        """

    def complete_each(
        self, lists: Sequence[Sequence[str]], *, max_new_tokens: int = 10, work: Work = UNWATCHED
    ) -> list[list[str]]:
        """``complete`` of each list, with the same bits as alone."""
        return [self.complete(prompts, max_new_tokens=max_new_tokens, work=work) for prompts in lists]

    def scores_each(
        self, lists: Sequence[Sequence[tuple[str, str]]], *, work: Work = UNWATCHED
    ) -> list[list[PairScore]]:
        """``scores`` of each list, with the same bits as alone."""
        return [self.scores(pairs, work=work) for pairs in lists]

    @abstractmethod
    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> Perplexity:
        """The perplexity over all texts together."""

    @abstractmethod
    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        """Each prompt with its sampled continuation, ``length`` tokens in all.

        A text depends on its prompt, the seed and the weights, and on nothing else.
        """

    @abstractmethod
    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        """The ``top`` likeliest next tokens after each prompt: id → natural log-probability."""

    @abstractmethod
    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """KL(reference ‖ this model) over the next token after each prompt, in nats.

        Args:
            prompts: The texts after which the next token is predicted.
            reference: What another model's ``next_tokens`` gave for them. All tokens that it does not name count as
                one, so the figure is a lower bound, and 0 for the same weights up to rounding.
        """


class Delta(ABC):
    """Low-rank factors of the edited matrices, opaque to the stages."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the edited parameters."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an editor returns."""

    delta: Delta
    report: EditReport
    targets: Mapping[str, str]
    """Content hash of each target vector, by the rewrite's id."""
    covariance_fingerprint: str
    libraries: Mapping[str, str]
    """Versions of the libraries that computed the delta, by name."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the content of each artifact that was read or written, by ``kind/key``."""


class Editor(ABC):
    """Computes a delta from the base, the rewrites and the recipe. The base is the same bits afterwards."""

    @abstractmethod
    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """Write facts into the model.

        Args:
            rewrites: What the model is to say. Single ones that can't be edited are left out, and named in the report.
            recipe: The algorithm and its settings.
            work: Shows the steps; a stop is noticed between two of them.
            guards: Facts that the edit leaves as they are, if the algorithm has a term for them.

        Raises:
            EditError: there is no sound delta.
        """


class BaseModel(ABC):
    """The pinned base model, on which deltas are put in place."""

    fingerprint: str
    """Hash of weights, tokenizer and dtype."""

    @abstractmethod
    def language_model(self) -> LanguageModel:
        """The unedited base."""

    @abstractmethod
    def edited(self, delta: Delta) -> AbstractContextManager[LanguageModel]:
        """Put ``delta`` in place inside the ``with`` block; afterwards the base's own tensors are in place again."""

    @abstractmethod
    def norm_growth(self, delta: Delta) -> dict[str, float]:
        """‖W + Δ‖ / ‖W‖ − 1 (Frobenius) of each edited parameter, by its name."""
