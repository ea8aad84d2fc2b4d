"""A recipe holds everything that shapes the weights, apart from the base and the facts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kbsync.domain.canonical import content_hash, later

ALGORITHMS = ("memit", "memit-sequential", "alphaedit", "rome", "finetune")
"""What a recipe may name; docs/explanation/edit.md says what each does."""
OPTIMISERS = ("adam", "steepest")
"""How a target vector may be searched: as published, or along the gradient itself (ADR 0017)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyperparameters of an edit (Meng et al., ICLR 2023, section 4.3 and appendix B).

    ``covariance_weight`` is the paper's λ; ``clamp`` bounds ‖δ‖ by ``clamp``·‖h₀‖; ``learning_rate`` is Adam's, in
    units of ‖h₀‖/sqrt(d) when ``relative_step`` (models differ a thousandfold in the norm of their residual stream), else
    absolute as published. ``contexts`` are prefixes with one ``{}`` for the prompt; empty: ``context_count`` are
    sampled from the model with ``seed``. ``covariance_tokens`` is the token budget of C, ``corpus`` names its text. At
    most ``guard_count`` facts that the base has right are guarded, each with ``guard_weight`` times the weight of an
    edited fact (ADR 0005; none: as published). In each of ``press_rounds`` the facts that are not yet answered are
    written again with ``press_factor`` times their weight (ADR 0016; none: as published). A target vector is found when its
    loss is below ``loss_threshold`` and no target token costs ``token_threshold`` nats or more (None: as published). Each step
    of its search is one of Adam (as published), or goes along the gradient by the length of Adam's first (``optimiser``
    "steepest", ADR 0017).

    Sequences (``memit-sequential``, ``alphaedit``) write ``batch`` facts a step, fine-tuning so many a gradient. AlphaEdit's
    null space holds the directions with at most ``null_space_share`` of C's trace, and its ``covariance_weight`` weighs
    the identity. Fine-tuning takes ``clamp`` as the bound of each entry of the change and ``learning_rate`` as Adam's,
    both in units of the weights' root mean square when ``relative_step``, and ``weight_decay`` as Adam's.
    ``trace`` names the causal trace (its SHA-256) that the layers came from, ``capacity`` is the number of facts in one
    version up to which the gate's bounds were measured to hold (``kbsync bench capacity``; 0: not measured); both shape
    nothing.
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
    batch: int = later(100)
    null_space_share: float = later(0.02)
    trace: str = later("")
    token_threshold: float | None = later(None)
    press_rounds: int = later(0)
    press_factor: float = later(4.0)
    capacity: int = later(0)
    optimiser: str = later("adam")

    @property
    def fingerprint(self) -> str:
        """Hash of everything that shapes the weights."""
        return content_hash(replace(self, name="", trace="", capacity=0))
