"""Versions: immutable, numbered, explained by their manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from kbsync.domain.canonical import content_hash, later
from kbsync.domain.gate import GateDecision, Metric, Threshold, decide, policy_hash
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.recipe import Recipe

CURRENT = "current"
"""The alias that names the version in use; it stands at 0, the unedited base, before the first promotion."""


class VersionState(StrEnum):
    """``building``: intended, weights not yet stored. ``candidate``: stored and verified. The rest as the gate said."""

    BUILDING = "building"
    CANDIDATE = "candidate"
    REFUSED = "refused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One edited layer. ``residual_before/after``: mean distance to the goal over the facts, before and after this
    layer's change: ‖z − h‖ in the residual stream after the last edited layer, or, in models with a norm after the
    MLP, between what this layer's down projection should put out and does; ``delta_ratio``: ‖Δ‖ / ‖W‖ (Frobenius);
    ``condition``: estimated condition number of the matrix that was solved, λC + KKᵀ for MEMIT; ``ridge``: what was
    added to its diagonal (0: nothing); ``free``: dimensions of the null space that the change was held to (None: no such
    bound). Where facts are written one after the other, each residual is taken around its own fact's step, and the
    condition is the worst. Fine-tuning has no goal vectors and solves nothing: residuals 0, condition 1."""

    layer: int
    residual_before: float
    residual_after: float
    delta_ratio: float
    condition: float
    ridge: float = 0.0
    free: int | None = later(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditReport:
    """How an edit went. ``losses``: final loss of each target vector by request id; ``left_out``: requests that
    can't be edited, by id, with the reason; ``contexts``: the prefixes that were used, sampled or given; ``pressed``:
    weights of the facts that were written with more than 1, by id."""

    layers: tuple[LayerReport, ...]
    losses: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()
    targets_reused: int = 0
    seconds: float = 0.0
    pressed: dict[str, float] = later(factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that explains a version. ``content`` (not the dates or timings) makes ``version_hash``.

    ``factors`` maps each edited parameter's name to the SHA-256 of its factors' bytes; ``targets`` maps request ids
    to target-vector hashes; ``artifacts`` maps each artifact that went in (``kind/key``: target vectors, covariances,
    contexts) to the SHA-256 of its content; ``audit_head`` anchors the audit chain outside the database.
    """

    base_fingerprint: str
    build_hash: str
    recipe: Recipe
    requests: tuple[EditRequest, ...]
    factors: dict[str, str]
    targets: dict[str, str]
    covariance_fingerprint: str
    libraries: dict[str, str]
    report: EditReport
    audit_head: str
    created_at: datetime
    guards: tuple[Guard, ...] = ()
    artifacts: dict[str, str] = field(default_factory=dict)

    @property
    def version_hash(self) -> str:
        return content_hash(
            {
                "base": self.base_fingerprint,
                "build": self.build_hash,
                "recipe": self.recipe.fingerprint,
                "factors": self.factors,
                "targets": self.targets,
                "covariance": self.covariance_fingerprint,
                "libraries": self.libraries,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The ledger's row of a version. ``version_hash`` is None while it is building."""

    number: int
    base_fingerprint: str
    build_hash: str
    plan_hash: str
    state: VersionState
    version_hash: str | None
    predecessor: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The right answer after a prompt, teacher-forced. ``probability``: geometric mean per token; ``strict``: greedy
    decoding would say exactly it; ``success``: it is likelier per token than its rival (what held before, or else what the
    base says)."""

    probability: float
    strict: bool
    success: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOutcome:
    """One prompt asked of base, candidate and, where it could be, of the version before (``previous_…``).

    ``group``: ``edited``, ``paraphrase``, ``neighbour`` (another subject, the same relation), ``subject`` (an edited
    subject, another relation) or ``hop`` (the second of two hops). ``since`` is the version that held the fact first
    without a break (0: not an edited fact).
    """

    group: str
    subject: str
    property: str
    prompt: str
    expected: str
    base_answer: str
    answer: str
    base_right: bool
    right: bool
    since: int = 0
    score: Score | None = None
    base_score: Score | None = None
    previous_answer: str | None = None
    previous_right: bool | None = None
    previous_score: Score | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Measured figures and the decision. ``outcomes`` are the per-prompt results behind them; ``norm_growth`` is
    ‖W + Δ‖ / ‖W‖ − 1 by edited parameter; ``previous`` the version that figures are compared with (0: the base);
    ``policy`` the hash of the thresholds that it was judged by (empty: not on record)."""

    version: int
    metrics: tuple[Metric, ...]
    decision: GateDecision
    outcomes: tuple[PromptOutcome, ...]
    at: datetime
    norm_growth: dict[str, float] = field(default_factory=dict)
    previous: int = 0
    policy: str = later("")

    def policy_changed(self, policy: Sequence[Threshold]) -> bool:
        """Whether the figures would be judged by other thresholds now; without figures there is nothing to judge: a model
        that could not be asked stays refused."""
        return bool(self.metrics) and self.policy != policy_hash(policy)

    def judged_by(self, policy: Sequence[Threshold]) -> Evaluation:
        """The same figures, judged by this policy."""
        return replace(self, decision=decide(self.metrics, policy), policy=policy_hash(policy))
