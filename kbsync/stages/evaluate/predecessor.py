"""The version before the one that is measured: its weights, its figures, and since when facts are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.fact import FactKey
from kbsync.domain.gate import Metric
from kbsync.domain.plan import EditRequest
from kbsync.domain.version import Evaluation, Version
from kbsync.ports import CheckpointStore, Delta
from kbsync.stages.evaluate.question_set import first_holders
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The version that another one is compared with."""

    number: int = 0
    """0: the base, or a version on another base, which nothing is compared with."""
    delta: Delta | None = None
    """None where its weights are not stored any more, or damaged."""
    evaluation: Evaluation | None = None
    first_holders: Mapping[FactKey, int] = field(default_factory=dict)
    """For each fact of the compared version, the version since which it is held without a break."""

    def metric(self, name: str) -> Metric | None:
        """What its own evaluation measured."""
        metrics = self.evaluation.metrics if self.evaluation else ()
        return next((metric for metric in metrics if metric.name == name), None)


def read_predecessor(
    run: Run, store: CheckpointStore, version: Version, requests: Sequence[EditRequest]
) -> Predecessor:
    """The predecessor of ``version``, which holds ``requests``."""
    with run.ledger.read() as tx:
        holders = first_holders(tx, version, requests)
        before = tx.version(version.predecessor) if version.predecessor else None
        evaluation = tx.evaluation(before.number) if before else None
    if before is None or before.base_fingerprint != version.base_fingerprint:
        return Predecessor(first_holders=holders)
    try:
        delta = store.read(before.version_hash or "")[1]
    except (NotFound, StoreError):
        delta = None
    return Predecessor(number=before.number, delta=delta, evaluation=evaluation, first_holders=holders)
