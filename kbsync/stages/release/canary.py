"""canary: ask the current version again what it answered rightly when it was measured, and roll back if it no longer
does.

Stored weights do not change by themselves. Everything around them may: a library, the base's files, a damaged file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError, ModelError, NotFound, StoreError
from kbsync.domain.judging import asserts
from kbsync.domain.version import CURRENT, Evaluation, PromptOutcome, Version
from kbsync.ports import BaseModel, CheckpointStore
from kbsync.stages.evaluate.question import EDITED, UNTOUCHED
from kbsync.stages.evaluate.served import Complete
from kbsync.stages.release.promote import current_number, rollback
from kbsync.stages.session import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """What the current version still answers as it did."""

    version: int
    """0: the base is in use, and nothing was asked."""
    asked: int
    """The number of facts that were asked."""
    lost: tuple[str, ...]
    """Prompts that are not answered rightly any more."""
    rolled_back_to: int | None
    """Where ``current`` points now; None where it stayed."""
    reason: str
    """Why it was rolled back; empty where it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """How much is asked again, and how much of it may be lost."""

    count: int
    """Largest number of facts, half of them edited and half neighbours."""
    max_drop: float
    """Share of them that may be lost; where more is, ``current`` is rolled back."""


def canary(
    writer: Writer,
    base: BaseModel,
    store: CheckpointStore,
    policy: CanaryPolicy,
    *,
    answer_tokens: int,
    served: Complete | None = None,
) -> CanaryResult:
    """Ask the current version again, and roll it back to the version before it where too much is lost.

    Args:
        answer_tokens: Largest length of answers, the same as when the version was measured.
        served: Asks the server that serves the current version; None: the stored weights are asked.

    Raises:
        ServerDown: The server can't be asked, which rolls nothing back.
        ServerError: It refuses, or its answer is none.
    """
    run = writer.run
    with run.ledger.read() as tx:
        number = current_number(tx)
        version, evaluation = (tx.version(number), tx.evaluation(number)) if number else (None, None)
    if version is None or evaluation is None:
        return CanaryResult(version=number, asked=0, lost=(), rolled_back_to=None, reason="")
    chosen = choose_canaries(evaluation, policy.count)
    if served is not None:
        lost, reason = lost_canaries(chosen, served([c.prompt for c in chosen])), ""
    else:
        lost, reason = _ask(writer, base, store, version, chosen, answer_tokens)
    if not reason and chosen and len(lost) / len(chosen) > policy.max_drop:
        reason = f"{len(lost)} of {len(chosen)} canaries are lost, {policy.max_drop:.0%} may be"
    body = {"version": number, "asked": len(chosen), "lost": list(lost), "reason": reason}
    with run.ledger.write() as tx:
        tx.append_audit("canary", run.actor, body, run.clock.now())
    to = rollback(writer, store, to=_nearest_sound(writer, store, version)).after if reason else None
    return CanaryResult(version=number, asked=len(chosen), lost=lost, rolled_back_to=to, reason=reason)


def choose_canaries(evaluation: Evaluation, count: int) -> list[PromptOutcome]:
    """Draw facts by hash from those that the version answered rightly: as many edited ones as neighbours, if there are
    enough of both."""
    right = [o for o in evaluation.outcomes if o.right]
    ranked = sorted(right, key=lambda o: content_hash([o.subject, o.property, o.prompt]))
    edited = [o for o in ranked if o.group == EDITED]
    untouched = [o for o in ranked if o.group in UNTOUCHED]
    neighbours = untouched[: max(count - len(edited), count // 2)]
    return edited[: count - len(neighbours)] + neighbours


def _ask(
    writer: Writer,
    base: BaseModel,
    store: CheckpointStore,
    version: Version,
    canaries: Sequence[PromptOutcome],
    answer_tokens: int,
) -> tuple[tuple[str, ...], str]:
    """The prompts that are lost, and why nothing could be asked (empty: it could)."""
    try:
        _, delta = store.read(version.version_hash or "")
        with base.edited(delta) as model:
            prompts = [canary.prompt for canary in canaries]
            answers = model.complete(prompts, max_new_tokens=answer_tokens, work=writer.run.work)
    except (StoreError, NotFound, EditError, ModelError) as error:
        return (), f"version {version.number} can't be asked: {error.what}"
    return lost_canaries(canaries, answers), ""


def lost_canaries(canaries: Sequence[PromptOutcome], answers: Sequence[str]) -> tuple[str, ...]:
    """Prompts that are not answered rightly any more."""
    # The same answer as before is right again, whichever of the names it matched then.
    return tuple(
        canary.prompt
        for canary, answer in zip(canaries, answers, strict=True)
        if answer != canary.answer and not asserts(answer, (canary.expected,), prompt=canary.prompt)
    )


def _nearest_sound(writer: Writer, store: CheckpointStore, version: Version) -> int:
    """The nearest predecessor that was promoted and whose weights are stored; 0, the base, where there is none."""
    with writer.run.ledger.read() as tx:
        promoted = {move.number for move in tx.alias_moves(CURRENT)}
        stored, number = set(store.hashes()), version.predecessor
        while number:
            predecessor = tx.version(number)
            if predecessor is None:
                return 0
            if number in promoted and predecessor.version_hash in stored:
                return number
            number = predecessor.predecessor
    return 0
