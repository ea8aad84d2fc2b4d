"""A recipe holds everything that shapes the weights, apart from the base and the facts."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.canonical import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyperparameters of an edit (Meng et al., ICLR 2023, section 4.3 and appendix B).

    ``covariance_weight`` is the paper's λ; ``clamp`` bounds ‖δ‖ by ``clamp``·‖h₀‖; ``learning_rate`` is Adam's, in
    units of ‖h₀‖/sqrt(d) when ``relative_step`` (models differ a thousandfold in the norm of their residual stream), else
    absolute as published. ``contexts`` are prefixes with one ``{}`` for the prompt; empty: ``context_count`` are
    sampled from the model with ``seed``. ``covariance_tokens`` is the token budget of C, ``corpus`` names its text. At most ``guard_count`` facts that the base
    has right are guarded, each with ``guard_weight`` times the weight of an edited fact (ADR 0005; none: as published).
    """

    name: str
    algorithm: str = "memit"
    layers: tuple[int, ...]
    covariance_weight: float = 15_000.0
    clamp: float = 0.75
    steps: int = 25
    learning_rate: float = 0.5
    relative_step: bool = True
    weight_decay: float = 0.5
    kl_weight: float = 0.0625
    loss_threshold: float = 0.05
    contexts: tuple[str, ...] = ()
    context_count: int = 5
    context_tokens: int = 10
    covariance_tokens: int = 100_000
    corpus: str = "model"
    guard_count: int = 0
    guard_weight: float = 1.0
    dtype: str = "float32"
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """Hash of everything but the name."""
        return content_hash({**{f: getattr(self, f) for f in self.__dataclass_fields__}, "name": ""})
