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
"""The alias of the version in use. Before the first promotion it points to 0, the unedited base."""


class VersionState(StrEnum):
    """Where a version is on its way."""

    BUILDING = "building"
    """It is to be built; its weights are not stored yet."""
    CANDIDATE = "candidate"
    """Its weights are stored and verified."""
    REFUSED = "refused"
    """The gate refused it."""
    PROMOTED = "promoted"
    """It is, or was, current."""
    ROLLED_BACK = "rolled-back"
    """It was current, and somebody or a canary moved ``current`` back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """How one layer was edited.

    Where facts are written one after the other, each residual is taken around its own fact's step, and the condition is
    the worst. Fine-tuning has no target vectors and solves nothing: its residuals are 0 and its condition is 1.
    """

    layer: int
    residual_before: float
    """Mean over the facts, before this layer's change, of ‖z − h‖ in the residual stream after the last edited layer;
    in sandwich-norm models, of the distance between this layer's down projection's wanted output and its output."""
    residual_after: float
    """The same after this layer's change."""
    delta_ratio: float
    """‖Δ‖ / ‖W‖ (Frobenius)."""
    condition: float
    """Estimated condition number of the matrix that was solved; for MEMIT, of λC + KKᵀ."""
    ridge: float = 0.0
    """What was added to its diagonal; 0: nothing."""
    free: int | None = later(None)
    """Dimensions of the null space that the change was held to; None where nothing bounded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditReport:
    """How an edit went."""

    layers: tuple[LayerReport, ...]
    losses: dict[str, float] = field(default_factory=dict)
    """Final loss of each target vector, by request id."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Requests that can't be edited, by id, with the reason."""
    contexts: tuple[str, ...] = ()
    """The context templates that were used, given or sampled."""
    targets_reused: int = 0
    """Target vectors that were found in the artifact store."""
    seconds: float = 0.0
    pressed: dict[str, float] = later(factory=dict)
    """Weights of the facts that were written with more than 1, by request id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that explains a version."""

    base_fingerprint: str
    build_hash: str
    recipe: Recipe
    requests: tuple[EditRequest, ...]
    """The facts that it holds."""
    factors: dict[str, str]
    """SHA-256 of the low-rank factors' bytes, by edited parameter."""
    targets: dict[str, str]
    """Hash of each target vector, by request id."""
    covariance_fingerprint: str
    libraries: dict[str, str]
    """Versions of the libraries that shape the weights, by name."""
    report: EditReport
    audit_head: str
    """Hash of the newest audit event: it anchors the audit trail outside the database."""
    created_at: datetime
    guards: tuple[Guard, ...] = ()
    """Facts that the edit guarded."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every artifact that went in (target vectors, covariances, contexts), by ``kind/key``."""

    @property
    def version_hash(self) -> str:
        """Identifies the version by what shapes its weights and by the weights themselves; dates, timings and
        provenance are not covered."""
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
    """The ledger's row of a version."""

    number: int
    base_fingerprint: str
    build_hash: str
    """Identifies what it is built from: base, facts, guards and recipe."""
    plan_hash: str
    """The plan that it was first built from."""
    state: VersionState
    version_hash: str | None
    """None while it is building."""
    predecessor: int
    """The version that was current when it was planned; 0: the base."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The right answer after a prompt, teacher-forced."""

    probability: float
    """Geometric mean over its tokens."""
    strict: bool
    """Greedy decoding would say exactly this answer."""
    success: bool
    """It is likelier per token than its rival: what held before, or else what the base says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOutcome:
    """One prompt, asked of the base, the version and, where that was possible, the version before."""

    group: str
    """``edited`` (the edited prompt), ``edited_statement``, ``edited_question`` or ``edited_dialogue`` (held-out
    phrasings of that form), ``known_statement`` and so on (the same of facts that the base knows), ``neighbour``
    (another subject, the same relation), ``subject`` (an edited subject, another relation), ``other`` (another subject,
    another relation), ``hop`` (the second of two hops), ``distraction``, ``near_name``, ``alias``, ``reverse``,
    ``denial``, ``stop``, ``stop_known``, ``with_context`` (a held-out phrasing behind the fact as a sentence) or
    ``without_context`` (the same question alone)."""
    subject: str
    property: str
    prompt: str
    expected: str
    """The first right answer."""
    base_answer: str
    answer: str
    """What the version says."""
    base_right: bool
    right: bool
    since: int = 0
    """The version since which the fact is held without a break; 0: it is not an edited fact."""
    score: Score | None = None
    """Of the version; None where nothing is scored."""
    base_score: Score | None = None
    previous_answer: str | None = None
    """What the version before says; None where it could not be asked."""
    previous_right: bool | None = None
    previous_score: Score | None = None
    ending: str = later("")
    """How the version goes on after a right answer, where that was looked at (``domain.ending.Ending``)."""
    base_ending: str = later("")
    """The same of the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a version was measured and judged."""

    version: int
    metrics: tuple[Metric, ...]
    """Empty where the edited model could not be asked."""
    decision: GateDecision
    outcomes: tuple[PromptOutcome, ...]
    """What every prompt gave."""
    at: datetime
    norm_growth: dict[str, float] = field(default_factory=dict)
    """‖W + Δ‖ / ‖W‖ − 1 of each edited parameter, by name."""
    previous: int = 0
    """The version that it was compared with; 0: the base only."""
    policy: str = later("")
    """Hash of the policy that it was judged by; empty where it is not known."""

    def policy_changed(self, policy: Sequence[Threshold]) -> bool:
        """Whether the figures would be judged by other thresholds now; without figures there is nothing to judge: a
        model that could not be asked stays refused."""
        return bool(self.metrics) and self.policy != policy_hash(policy)

    def judged_by(self, policy: Sequence[Threshold]) -> Evaluation:
        """The same figures, judged by this policy."""
        return replace(self, decision=decide(self.metrics, policy), policy=policy_hash(policy))
