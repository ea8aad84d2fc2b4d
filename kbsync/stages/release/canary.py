"""canary: ask the current version again some of what it answered rightly when it was measured; roll back when it does not.

Stored weights don't change by themselves. What may change is everything around them: a library, a damaged file, the
base's own files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError, ModelError, NotFound, StoreError
from kbsync.domain.verdict import match_names
from kbsync.domain.version import Evaluation, PromptOutcome, Version
from kbsync.ports import BaseModel, CheckpointStore
from kbsync.stages.evaluate.questions import UNTOUCHED
from kbsync.stages.release.promote import current_number, rollback
from kbsync.stages.session import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """``asked`` facts of ``version`` (0: the base is in use, and nothing was asked), of which ``lost`` are not answered as
    they were. ``rolled_back_to`` is None where current stayed; ``reason`` says why it did not."""

    version: int
    asked: int
    lost: tuple[str, ...]
    rolled_back_to: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """How much is asked again, and how much of it may be lost."""

    count: int
    """At most so many facts, half of them edited and half neighbours."""
    max_drop: float
    """Share of them that may be lost; where more is, ``current`` is rolled back."""


def canary(
    writer: Writer, base: BaseModel, store: CheckpointStore, policy: CanaryPolicy, *, answer_tokens: int
) -> CanaryResult:
    """Ask the current version again, and roll it back to the version before it where too much is lost.

    Args:
        writer: Holds the writer's lease.
        base: What the current version is an edit of.
        store: Where its weights are stored.
        policy: How much is asked, and how much may be lost.
        answer_tokens: Answers are at most so long, as when the version was measured.
    """
    run = writer.run
    with run.ledger.read() as tx:
        number = current_number(tx)
        version, evaluation = (tx.version(number), tx.evaluation(number)) if number else (None, None)
    if version is None or evaluation is None:
        return CanaryResult(version=number, asked=0, lost=(), rolled_back_to=None, reason="")
    chosen = canaries(evaluation, policy.count)
    lost, reason = _ask(writer, base, store, version, chosen, answer_tokens)
    if not reason and chosen and len(lost) / len(chosen) > policy.max_drop:
        reason = f"{len(lost)} of {len(chosen)} canaries are lost, {policy.max_drop:.0%} may be"
    body = {"version": number, "asked": len(chosen), "lost": list(lost), "reason": reason}
    with run.ledger.write() as tx:
        tx.append_audit("canary", run.actor, body, run.clock.now())
    to = rollback(writer, store, to=_soundest(writer, store, version)).after if reason else None
    return CanaryResult(version=number, asked=len(chosen), lost=lost, rolled_back_to=to, reason=reason)


def canaries(evaluation: Evaluation, count: int) -> list[PromptOutcome]:
    """Facts that the version answered rightly, drawn by hash: edited ones and neighbours in equal parts, as far as there
    are."""
    right = [o for o in evaluation.outcomes if o.right]
    ranked = sorted(right, key=lambda o: content_hash([o.subject, o.property, o.prompt]))
    edited = [o for o in ranked if o.group == "edited"]
    others = [o for o in ranked if o.group in UNTOUCHED]
    near = others[: max(count - len(edited), count // 2)]
    return edited[: count - len(near)] + near


def _ask(
    writer: Writer,
    base: BaseModel,
    store: CheckpointStore,
    version: Version,
    chosen: Iterable[PromptOutcome],
    answer_tokens: int,
) -> tuple[tuple[str, ...], str]:
    """What was lost, and why nothing could be asked (empty: it could)."""
    asked = list(chosen)
    try:
        _, delta = store.read(version.version_hash or "")
        with base.edited(delta) as model:
            said = model.complete([o.prompt for o in asked], max_new_tokens=answer_tokens, work=writer.run.work)
    except (StoreError, NotFound, EditError, ModelError) as error:
        return (), f"version {version.number} can't be asked: {error.what}"
    # Whatever the name that matched then, the same answer is right again.
    return tuple(
        o.prompt
        for o, answer in zip(asked, said, strict=True)
        if answer != o.answer and match_names(answer, (o.expected,)) is None
    ), ""


def _soundest(writer: Writer, store: CheckpointStore, version: Version) -> int:
    """The nearest version before whose weights are stored and was promoted; 0, the base, where there is none."""
    with writer.run.ledger.read() as tx:
        promoted = {move.number for move in tx.alias_moves("current")}
        stored, number = set(store.hashes()), version.predecessor
        while number:
            before = tx.version(number)
            if before is None:
                return 0
            if number in promoted and before.version_hash in stored:
                return number
            number = before.predecessor
    return 0
