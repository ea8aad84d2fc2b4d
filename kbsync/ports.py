"""What a stage needs from the outside. Adapters subclass these; a fake does too, and passes the same conformance suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kbsync.domain.announcement import Announcement
from kbsync.domain.audit import AuditEvent
from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord, FactState
from kbsync.domain.history import HistoryLink
from kbsync.domain.plan import EditPlan, EditRequest, Guard, PlanEntry
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Statement
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.domain.version import EditReport, Evaluation, Manifest, Outcome, Version, VersionState


class Clock(ABC):
    @abstractmethod
    def now(self) -> datetime:
        """The current time, aware, in UTC."""


class Progress(ABC):
    """Progress of long work, and the place where a stop request is noticed."""

    @abstractmethod
    def start(self, stage: str, total: int | None) -> None:
        """A step named ``stage`` begins; ``total`` items, None where that is unknown."""

    @abstractmethod
    def advance(self, count: int = 1) -> None:
        """``count`` items are done. Raises ``Stopped`` when a stop was asked for: call it where stopping is safe."""

    @abstractmethod
    def finish(self, note: str = "") -> None:
        """The step ended."""


@dataclass(frozen=True, slots=True)
class ItemEvent:
    """A change of which a source told by itself. ``revision``: the one that it led to; 0 where the event names none
    (deletions, restorations)."""

    item: ItemId
    at: datetime
    revision: int = 0


class StatementSource(ABC):
    """Where statements come from. Every method raises ``SourceDown`` (transient) or ``SourceError`` (terminal)."""

    name: str

    @abstractmethod
    def server_time(self) -> datetime:
        """The time up to which the source knows Wikidata (Q0): never the clock on the wall."""

    @abstractmethod
    def subjects(self, relation: Relation) -> list[ItemId]:
        """The relation's listed subjects and those its pattern finds, sorted, without doubles."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        """One head per asked item (Q1); an item that the source does not know comes back as deleted."""

    @abstractmethod
    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        """Pages of records (Q2) with all statements of ``properties``; a page is complete or not there at all."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        """Pages of labels and aliases in the source's language, one entry per asked item."""

    def events(self, since: datetime) -> Iterator[ItemEvent | None] | None:  # noqa: ARG002
        """What changes, as it happens, beginning at ``since``; None in between, at least once a second, so that the
        reader can do other things. An event may come twice, and may name what ``heads`` does not know yet.

        None is left out: where that can't be promised (a gap, a line that stays broken), the iteration raises
        ``SourceDown``. None instead of an iterator: this source does not tell by itself.
        """
        return None


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
    def complete(
        self, prompts: Sequence[str], *, max_new_tokens: int = 10, progress: Progress | None = None
    ) -> list[str]:
        """Greedy continuation of each prompt (without the prompt), cut at the first newline."""

    @abstractmethod
    def logprobs(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[float]:
        """Natural log-probability of each (prompt, continuation), summed over the continuation's tokens."""

    @abstractmethod
    def perplexity(self, texts: Sequence[str], *, progress: Progress | None = None) -> tuple[float, int]:
        """Perplexity over all texts together (exp of the mean token NLL), and the number of predicted tokens."""

    @abstractmethod
    def scores(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[PairScore]:
        """Each (prompt, answer) scored token by token; answers come without their leading blank."""

    @abstractmethod
    def sample(
        self, prompts: Sequence[str], *, length: int = 100, seed: int = 0, progress: Progress | None = None
    ) -> list[str]:
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
    """What an editor returns. ``targets`` maps request ids to the content hash of their target vector; ``artifacts``
    maps each artifact that was read or written (``kind/key``) to the SHA-256 of its content."""

    delta: Delta
    report: EditReport
    targets: Mapping[str, str]
    covariance_fingerprint: str
    libraries: Mapping[str, str]
    artifacts: Mapping[str, str] = field(default_factory=dict)


class Editor(ABC):
    """Computes a delta for (base, requests, recipe). The base comes out bit for bit as it went in."""

    @abstractmethod
    def edit(
        self, requests: Sequence[EditRequest], recipe: Recipe, progress: Progress, *, guards: Sequence[Guard] = ()
    ) -> Edit:
        """Write ``requests`` and leave ``guards`` as they are, as far as the algorithm has a place for them.

        Raises ``EditError`` when no sound delta exists; single requests that can't be edited are left out by name."""


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


class ArtifactStore(ABC):
    """Content-keyed blobs (target vectors, covariances) that may be computed again, and so may be lost without harm."""

    @abstractmethod
    def get(self, kind: str, key: str) -> bytes | None:
        """The verified bytes; None when absent or damaged (a damaged one is set aside)."""

    @abstractmethod
    def put(self, kind: str, key: str, data: bytes) -> None:
        """Atomic (temporary name, fsync, rename); the same key twice is the same content."""

    @abstractmethod
    def drop(self, kind: str, key: str) -> None:
        """Forget a blob that is of no more use; one that is not there is no mistake."""


class CheckpointStore(ABC):
    """Immutable versions, by version hash."""

    @abstractmethod
    def write(self, manifest: Manifest, delta: Delta) -> str:
        """Store under a temporary name, fsync, rename, read back and verify; returns the version hash. Idempotent."""

    @abstractmethod
    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        """SHA-256 of each parameter's factors as they would be stored."""

    @abstractmethod
    def read(self, version_hash: str) -> tuple[Manifest, Delta]:
        """Raises ``NotFound`` or, when a byte is wrong, ``StoreError``."""

    def manifest(self, version_hash: str) -> Manifest:
        """The manifest alone, which a store may keep of versions whose weights it removed. Raises as ``read`` does."""
        return self.read(version_hash)[0]

    @abstractmethod
    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        """Keep with the version how it was measured and judged last, without the single answers. Nothing happens to one
        that is not stored. Raises ``StoreError``."""

    @abstractmethod
    def evaluation(self, version_hash: str) -> Evaluation | None:
        """What ``annotate`` kept. Raises as ``read`` does."""

    @abstractmethod
    def hashes(self) -> list[str]:
        """All complete versions."""

    @abstractmethod
    def verify(self, version_hash: str) -> None:
        """Hash every byte again; raises ``StoreError`` naming the file that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """Where an alias stands, and the fencing token of the process that moved it there. ``seq`` grows with every move
    of any alias."""

    name: str
    number: int
    token: int
    moved_at: datetime
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A hook was told of every move of ``current`` up to ``move`` (or it was given up); the next one was tried
    ``attempts`` times."""

    hook: str
    move: int
    attempts: int


class Hook(ABC):
    """Somebody outside who is told when ``current`` moves; ``name`` is stable, the ledger knows it by that."""

    name: str

    @abstractmethod
    def deliver(self, announcement: Announcement) -> None:
        """May be called again with the same announcement, after a failure or a crash. Raises ``HookFailed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseToken:
    """Proof of holding a lease: ``token`` grows with every new holder. ``taken_from``: the holder that was found dead
    with its lease not yet run out."""

    name: str
    holder: str
    token: int
    expires: datetime
    taken_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChange:
    """One row of the statement history: ``before`` None: appeared; ``after`` None: disappeared."""

    seq: int
    statement_id: str
    subject: ItemId
    property: PropertyId
    revision: int
    seen_at: datetime
    before: Statement | None
    after: Statement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What was believed of a fact from ``at`` on, until the next one."""

    at: datetime
    state: FactState


@dataclass(frozen=True, slots=True, kw_only=True)
class FactCounts:
    """Facts of one property: ``askable`` ones are believed and have an answer, ``waiting`` ones are observed and not
    yet believed."""

    facts: int
    believed: int
    askable: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCounts:
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    def __add__(self, other: PullCounts) -> PullCounts:
        return PullCounts(
            added=self.added + other.added,
            changed=self.changed + other.changed,
            removed=self.removed + other.removed,
            unchanged=self.unchanged + other.unchanged,
        )


class LedgerReader(ABC):
    """What can be asked of the ledger, inside one consistent read."""

    @abstractmethod
    def watermark(self, source: str) -> datetime | None:
        """The source's server time at the last complete pull."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
        """Stored heads of those items that are known."""

    @abstractmethod
    def redirects(self) -> dict[ItemId, ItemId]:
        """Every known item that is a redirect, and where it leads."""

    @abstractmethod
    def statements(self, subject: ItemId, property: PropertyId) -> list[Statement]:
        """Live statements, by id."""

    @abstractmethod
    def statements_of(self, property: PropertyId, subjects: Sequence[ItemId]) -> dict[ItemId, list[Statement]]:
        """Live statements of one property for many subjects, each list by id; subjects without any are left out."""

    @abstractmethod
    def history(self, subject: ItemId, property: PropertyId) -> list[StatementChange]:
        """All changes ever seen, oldest first."""

    @abstractmethod
    def history_links(self) -> Iterator[HistoryLink]:
        """The whole statement history as a hash chain, in order; read as it is consumed."""

    @abstractmethod
    def history_head(self) -> str:
        """Hash of the newest row of the statement history (``GENESIS`` when there is none)."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> dict[ItemId, Labels]:
        """Stored labels of those items that are known."""

    @abstractmethod
    def facts(self, property: PropertyId | None = None) -> list[FactRecord]:
        """All fact records (of one property), sorted by key."""

    @abstractmethod
    def fact(self, key: FactKey) -> FactRecord | None: ...

    @abstractmethod
    def beliefs(self, key: FactKey) -> list[Belief]:
        """Everything that was ever believed of the fact, oldest first."""

    @abstractmethod
    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model."""

    @abstractmethod
    def verdict(self, key: VerdictKey) -> Verdict | None: ...

    @abstractmethod
    def fact_counts(self, property: PropertyId) -> FactCounts: ...

    @abstractmethod
    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        """By kind, the verdicts on what is believed now; kinds without any are left out."""

    @abstractmethod
    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        """Askable facts without a verdict on what is believed now, sorted by key."""

    @abstractmethod
    def quarantine(self) -> dict[FactKey, tuple[str, str]]:
        """Quarantined facts: (value hash that was tried, reason)."""

    @abstractmethod
    def decisions(self) -> dict[FactKey, Decision]:
        """What people decided and did not withdraw."""

    @abstractmethod
    def members(self, property: PropertyId) -> list[ItemId]:
        """The items that the relation's subject pattern found when it was asked last, sorted."""

    @abstractmethod
    def plan(self, plan_hash: str) -> EditPlan | None:
        """A recorded plan by its content hash; ``newest_plan`` gives the last one."""

    @abstractmethod
    def newest_plan(self) -> tuple[str, EditPlan] | None: ...

    @abstractmethod
    def plan_entries(self, key: FactKey) -> dict[str, PlanEntry]:
        """What each plan does with one fact, by plan hash; plans that do not mention it are left out."""

    @abstractmethod
    def held_counts(self) -> dict[str, int]:
        """How many facts each plan writes, by plan hash; plans that write none are left out."""

    @abstractmethod
    def versions(self) -> list[Version]:
        """All versions by number."""

    @abstractmethod
    def version(self, number: int) -> Version | None: ...

    @abstractmethod
    def version_by_build(self, build_hash: str) -> Version | None:
        """The version that was intended for this build hash, whatever became of it."""

    @abstractmethod
    def evaluation(self, number: int) -> Evaluation | None:
        """The newest evaluation of a version."""

    @abstractmethod
    def evaluation_summary(self, number: int) -> Evaluation | None:
        """The same without its outcomes, of which there may be thousands."""

    @abstractmethod
    def outcomes(self, key: FactKey, group: str) -> dict[int, Outcome]:
        """What the newest evaluation of each version found of one fact (the first of ``group``), by version number."""

    @abstractmethod
    def delivery(self, hook: str) -> Delivered | None:
        """How far a hook was told of what became current; None for one that the ledger does not know."""

    @abstractmethod
    def alias(self, name: str) -> AliasState | None: ...

    @abstractmethod
    def alias_moves(self, name: str) -> list[AliasState]:
        """Every position the alias ever had, oldest first."""

    @abstractmethod
    def audit(self, *, after: int = 0, limit: int | None = None, kind: str | None = None) -> list[AuditEvent]:
        """Events with seq > ``after`` (of one kind), in order."""

    @abstractmethod
    def newest_event(self, kind: str | None = None) -> AuditEvent | None:
        """The last event (of that kind)."""

    @abstractmethod
    def audit_head(self) -> str:
        """Hash of the newest event (``GENESIS`` when there is none)."""


class LedgerTransaction(LedgerReader):
    """One write transaction: all of it is committed, or none of it."""

    @abstractmethod
    def set_watermark(self, source: str, at: datetime) -> None: ...

    @abstractmethod
    def record_items(self, records: Sequence[ItemRecord], properties: Sequence[PropertyId], at: datetime) -> PullCounts:
        """Upsert heads, labels and statements, and write the history of what differs.

        A live statement of ``properties`` that a record lacks has disappeared. A record with a revision below the
        stored one is ignored (the source answered from a stale cache).
        """

    @abstractmethod
    def record_labels(self, labels: Sequence[Labels]) -> None: ...

    @abstractmethod
    def put_facts(self, records: Sequence[FactRecord]) -> None: ...

    @abstractmethod
    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        """Insert those whose key is new; returns how many were."""

    @abstractmethod
    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None: ...

    @abstractmethod
    def clear_quarantine(self, key: FactKey) -> None: ...

    @abstractmethod
    def set_decision(self, decision: Decision) -> None:
        """Takes the place of an earlier one about the same fact, which the ledger must hold."""

    @abstractmethod
    def clear_decision(self, key: FactKey) -> None: ...

    @abstractmethod
    def set_members(self, property: PropertyId, items: Sequence[ItemId], at: datetime) -> None:
        """These and no others; those that were members before keep the time at which they were found."""

    @abstractmethod
    def record_plan(self, plan: EditPlan, at: datetime) -> tuple[str, bool]:
        """Returns (content hash of the plan, whether it is new)."""

    @abstractmethod
    def add_version(self, plan_hash: str, plan: EditPlan, at: datetime) -> Version:
        """The intent: the next number in state ``building``. A build hash has one version at most (idempotency key)."""

    @abstractmethod
    def set_version_state(self, number: int, state: VersionState, *, version_hash: str | None = None) -> None:
        """``version_hash`` is set once, with ``candidate``. Raises ``NotFound``."""

    @abstractmethod
    def record_evaluation(self, evaluation: Evaluation) -> None: ...

    @abstractmethod
    def move_alias(self, name: str, number: int, lease: LeaseToken, at: datetime) -> None:
        """Checks inside this transaction that ``lease`` is the newest holder's and not expired; raises ``LeaseLost``."""

    @abstractmethod
    def set_delivery(self, delivered: Delivered) -> None: ...

    @abstractmethod
    def append_audit(self, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent: ...

    @abstractmethod
    def acquire_lease(
        self,
        name: str,
        holder: str,
        ttl: timedelta,
        now: datetime,
        *,
        process: str | None = None,
        is_gone: Callable[[str | None], bool] = lambda _: False,
    ) -> LeaseToken:
        """A free or expired lease, or one whose holder's ``process`` ``is_gone``, goes to ``holder`` with the next
        token; raises ``Busy`` naming the other holder."""

    @abstractmethod
    def renew_lease(self, lease: LeaseToken, ttl: timedelta, now: datetime) -> LeaseToken:
        """Raises ``LeaseLost`` when somebody else holds it or it expired."""

    @abstractmethod
    def release_lease(self, lease: LeaseToken) -> None:
        """Nothing happens when it is lost already."""


class Ledger(ABC):
    @abstractmethod
    def read(self) -> AbstractContextManager[LedgerReader]:
        """A read transaction; never blocks writers, nor they it."""

    @abstractmethod
    def write(self) -> AbstractContextManager[LedgerTransaction]:
        """A write transaction: commits at the end of the block, rolls back on any exception."""

    @abstractmethod
    def close(self) -> None: ...
