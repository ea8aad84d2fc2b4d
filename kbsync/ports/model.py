"""The model as a stage sees it: it answers, it is edited, and it takes a change in and out."""

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
    """A continuation after its prompt, teacher-forced. ``nll``: mean per token, natural logarithm; ``hits``: for each
    token, whether the model's likeliest next token is it."""

    nll: float
    hits: tuple[bool, ...]

    @property
    def strict(self) -> bool:
        """All tokens are the likeliest: greedy decoding would say exactly this."""
        return all(self.hits)


class LanguageModel(ABC):
    """A causal language model that answers; ``fingerprint`` covers weights, tokenizer and dtype."""

    fingerprint: str

    @abstractmethod
    def complete(self, prompts: Sequence[str], *, max_new_tokens: int = 10, work: Work = UNWATCHED) -> list[str]:
        """Greedy continuation of each prompt (without the prompt), cut at the first newline."""

    @abstractmethod
    def logprobs(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[float]:
        """Natural log-probability of each (prompt, continuation), summed over the continuation's tokens."""

    @abstractmethod
    def perplexity(self, texts: Sequence[str], *, work: Work = UNWATCHED) -> tuple[float, int]:
        """Perplexity over all texts together (exp of the mean token NLL), and the number of predicted tokens."""

    @abstractmethod
    def scores(self, pairs: Sequence[tuple[str, str]], *, work: Work = UNWATCHED) -> list[PairScore]:
        """Each (prompt, answer) scored token by token; answers come without their leading blank."""

    @abstractmethod
    def sample(self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, work: Work = UNWATCHED) -> list[str]:
        """Each prompt with its sampled continuation, ``length`` tokens in all. A text hangs on its prompt, the seed and
        the weights, and on nothing else."""

    @abstractmethod
    def next_tokens(self, prompts: Sequence[str], *, top: int = 256) -> list[dict[int, float]]:
        """The ``top`` likeliest next tokens after each prompt: id → natural log-probability."""

    @abstractmethod
    def divergence(self, prompts: Sequence[str], reference: Sequence[Mapping[int, float]]) -> list[float]:
        """KL(reference ‖ this model) over the next token after each prompt, in nats.

        ``reference`` is what another model's ``next_tokens`` gave; all tokens that it does not name count as one, so the
        figure is a lower bound, and 0 for the same weights up to rounding.
        """


class Delta(ABC):
    """Low-rank factors of the edited matrices, opaque to the stages."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the edited parameters."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an editor returns. ``targets`` maps rewrite ids to the content hash of their target vector; ``artifacts``
    maps each artifact that was read or written (``kind/key``) to the SHA-256 of its content."""

    delta: Delta
    report: EditReport
    targets: Mapping[str, str]
    covariance_fingerprint: str
    libraries: Mapping[str, str]
    artifacts: Mapping[str, str] = field(default_factory=dict)


class Editor(ABC):
    """Computes a delta for (base, rewrites, recipe). The base comes out bit for bit as it went in."""

    @abstractmethod
    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """Write ``rewrites`` and leave ``guards`` as they are, as far as the algorithm has a place for them.

        Raises ``EditError`` when no sound delta exists; single rewrites that can't be edited are left out by name."""


class BaseModel(ABC):
    """The pinned base: the place where deltas are tried on."""

    fingerprint: str

    @abstractmethod
    def language_model(self) -> LanguageModel:
        """The unedited base."""

    @abstractmethod
    def edited(self, delta: Delta) -> AbstractContextManager[LanguageModel]:
        """The base with ``delta`` in place inside the ``with`` block; afterwards the base's own tensors are back."""

    @abstractmethod
    def norm_growth(self, delta: Delta) -> dict[str, float]:
        """‖W + Δ‖ / ‖W‖ − 1 (Frobenius) of each edited parameter, by its name."""
