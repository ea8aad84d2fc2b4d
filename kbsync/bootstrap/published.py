"""What is said of a version that is written for servers: its model card, and what a cut adapter still answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from kbsync.bootstrap import adapters
from kbsync.config.settings import Settings
from kbsync.domain.errors import Busy, GateRefused, NotFound
from kbsync.domain.version import Manifest, Version
from kbsync.ports import BaseModel, Clock, Ledger, Notifier, Work
from kbsync.stages.binding import Stages
from kbsync.stages.evaluate.served import Complete, ServedCheck, check_served, served_prompts
from kbsync.stages.notify import NotifyResult, Published, RetryPolicy, count_waiting, notify
from kbsync.stages.release.canary import choose_canaries, lost_canaries
from kbsync.stages.session import Run, notifying

if TYPE_CHECKING:
    from kbsync.checkpoints.current_link import CurrentLink
    from kbsync.checkpoints.exporters.card import CardFacts
    from kbsync.checkpoints.exporters.form import ExportForm
    from kbsync.checkpoints.store import FileCheckpointStore
    from kbsync.model.delta import FactorDelta
    from kbsync.model.load import LoadedModel


class Parts(Protocol):
    """What is needed of the application."""

    work: Work

    @property
    def settings(self) -> Settings: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def store(self) -> FileCheckpointStore: ...

    @property
    def base(self) -> BaseModel: ...

    @property
    def loaded(self) -> LoadedModel: ...

    @property
    def stages(self) -> Stages: ...


def current_link(app: Parts) -> CurrentLink:
    """The link to the current version's files, in the form that ``[release]`` names."""
    from kbsync.checkpoints.current_link import CurrentLink

    form = adapters.published_form(app.settings)
    card = partial(published_card, app, form)
    return CurrentLink(app.settings.state_dir, form, app.store, lambda: app.loaded, card)


def notifiers(settings: Settings, clock: Clock, ledger: Ledger) -> tuple[Notifier, ...]:
    """The notifiers that ``[release]`` configures; an engine is asked canaries of the evaluation in the ledger."""

    def lost(version: int, count: int, complete: Complete) -> Sequence[str]:
        with ledger.read() as tx:
            evaluation = tx.evaluation(version)
        chosen = choose_canaries(evaluation, count) if evaluation is not None else []
        return lost_canaries(chosen, complete([canary.prompt for canary in chosen])) if chosen else ()

    tokens = settings.model.base_answer_tokens
    return adapters.release_notifiers(settings.release, settings.state_dir, clock, tokens, lost)


def announce(
    run: Run,
    settings: Settings,
    notifiers: Sequence[Notifier],
    link: CurrentLink,
    anchored: Callable[[], AbstractContextManager[None]],
) -> NotifyResult:
    """Tell notifiers of the moves that they were not told of yet, unless another process is doing so.

    Args:
        anchored: Anchors the audit trail after the block.
    """
    waiting = count_waiting(run, notifiers)
    if not waiting:
        return NotifyResult(waiting=waiting)
    release, lease = settings.release, settings.lease
    policy = RetryPolicy(attempts=release.attempts, give_up=release.give_up)
    try:
        # The lease must outlive a notifier that does not answer for its whole time-out.
        longest = (
            max(release.timeout, release.engine.timeout + release.engine.drain) if release.engine else release.timeout
        )
        with notifying(run, lease.ttl + 2 * longest, 2 * longest) as held, anchored():
            return notify(held, notifiers, Published(str(link.link), link.directory), policy)
    except Busy:
        return NotifyResult()


def card_facts(app: Parts, number: int, manifest: Manifest, form: ExportForm) -> CardFacts:
    """What the model card of a version tells."""
    from kbsync.checkpoints.exporters.card import CardFacts
    from kbsync.checkpoints.exporters.lora import base_name

    with app.ledger.read() as tx:
        version, evaluation = tx.version(number), tx.evaluation(number)
    return CardFacts(
        manifest=manifest,
        number=number,
        predecessor=version.predecessor if version else 0,
        metrics=evaluation.metrics if evaluation else (),
        passed=evaluation.decision.passed if evaluation else None,
        base=form.base_name or base_name(app.loaded),
    )


def published_card(app: Parts, form: ExportForm, version: Version) -> CardFacts:
    """What the card of a version tells that is to be published in ``form``.

    Raises:
        GateRefused: The form cuts the version's adapter, and what is left does not pass the gate.
    """
    manifest, delta = app.store.read(version.version_hash or "")
    reason = app.settings.release.override
    kept = cut_kept(app, version.number, delta, form.rank) if form.rank is not None and not reason else None
    if kept is not None and not kept.decision.passed:
        reasons = "; ".join(refusal.text for refusal in kept.decision.refusals)
        raise GateRefused(
            f"Version {version.number} can't be published with rank {form.rank}: {reasons}.",
            kept="Current moved in the ledger; its path still leads to the old version.",
            next_step="Raise [release] rank, or say with [release] override why it is wanted all the same; the next "
            "command that writes moves the path.",
        )
    return card_facts(app, version.number, manifest, form)


def cut_kept(
    app: Parts, number: int, delta: FactorDelta, rank: int | None, *, override: str = ""
) -> ServedCheck | None:
    """What an adapter of this rank still answers, asked as the version was when it was measured.

    Args:
        override: A person's reason to write it whatever it answers.

    Returns:
        None where nothing is cut, or where the version was not measured and a person wants it all the same.

    Raises:
        NotFound: It is cut, and the version was not measured.
    """
    from kbsync.model.peft_adapter import cut_to

    cut, matrices = cut_to(delta, rank)
    if all(matrix.rank == matrix.full_rank for matrix in matrices):
        return None
    with app.ledger.read() as tx:
        evaluation = tx.evaluation(number)
    if evaluation is None or not evaluation.outcomes:
        if override:
            return None
        raise NotFound(
            f"Version {number} was not measured, so nobody can tell what an adapter of rank {rank} loses.",
            next_step=f"Run `kbsync evaluate {number}`, leave the rank out, or give an override.",
        )
    policy, tokens = app.stages.settings.gate, app.settings.model.base_answer_tokens
    with app.base.edited(cut) as model:
        return check_served(
            lambda prompts: model.complete(prompts, max_new_tokens=tokens, work=app.work),
            evaluation,
            served_prompts(evaluation, policy),
            policy,
            {},
        )


def kept_figures(kept: ServedCheck) -> dict[str, Any]:
    """By figure, what is kept and what was measured of the uncut version."""
    return {f.name: {"kept": f.served, "measured": f.measured, "prompts": f.samples} for f in kept.figures}
