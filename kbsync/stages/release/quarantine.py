"""Free a fact from quarantine, because a person says so."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.fact import FactKey
from kbsync.domain.version import VersionState
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class FreedFact:
    """A fact that is not in quarantine any more."""

    subject: str
    property: str
    was: str
    """Why it was in quarantine."""
    already: bool
    """It was not in quarantine."""


def free_fact(run: Run, key: FactKey, reason: str) -> FreedFact:
    """Let the next plan hold the fact again.

    Refused versions that hold it become candidates, so that they are measured again when they are planned again.
    """
    now = run.clock.now()
    with run.ledger.write() as tx:
        quarantined = tx.quarantine().get(key)
        if quarantined is None:
            return FreedFact(subject=key.subject, property=key.property, was="", already=True)
        was = quarantined.reason
        tx.clear_quarantine(key)
        for version in tx.versions():
            planned = tx.plan(version.plan_hash) if version.state is VersionState.REFUSED else None
            if planned and key in {r.key for r in planned.requests}:
                tx.set_version_state(version.number, VersionState.CANDIDATE)
        tx.append_audit("quarantine", run.actor, {"fact": str(key), "was": was, "reason": reason}, now)
    return FreedFact(subject=key.subject, property=key.property, was=was, already=False)
