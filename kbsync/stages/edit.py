"""edit: build the candidate version that a plan describes, from the pinned base.

Two phases: the intent (a numbered version in state ``building``) is committed before the work, the result after the
store has verified it. A kill in between leaves the intent, and the next run builds the same version again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbsync.domain.errors import EditError, NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditPlan, EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import Manifest, Version, VersionState
from kbsync.ports import CheckpointStore, Edit, Editor
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """``already``: the version was built before. ``left_out``: facts that could not be edited, now in quarantine."""

    version: Version
    left_out: Mapping[FactKey, str]
    already: bool


def edit(run: Run, plan_hash: str, recipe: Recipe, editor: Editor, store: CheckpointStore) -> EditResult:
    """Build the planned version, or build it again where its weights were removed.

    Raises ``NotFound`` for an unknown plan, and ``EditError`` for an empty one, or when a removed version does not come
    out as it was.
    """
    planned, version = _intend(run, plan_hash)
    if version.version_hash in store.hashes():
        return EditResult(version=version, left_out={}, already=True)
    if recipe.fingerprint != planned.recipe_fingerprint:
        raise EditError(
            f"Plan {plan_hash[:12]} was made for another recipe than {recipe.name!r} as it is now.",
            kept="The plan and all versions stay.",
            next_step="Make a new plan: `kbsync plan`.",
        )
    made = editor.edit(planned.requests, recipe, run.work, guards=planned.guards)
    manifest = _manifest(run, planned, recipe, made, store)
    if version.version_hash not in (None, manifest.version_hash):
        raise EditError(
            f"Version {version.number}, whose weights were removed, comes out as another one: a library or the covariance changed.",
            kept="All versions stay as they are.",
            next_step=f"`kbsync rebuild {version.number}` names what differs; a recipe with another seed makes a new version.",
        )
    version_hash = store.write(manifest, made.delta)
    left_out = {r.key: made.report.left_out[r.id] for r in planned.requests if r.id in made.report.left_out}
    now = run.clock.now()
    # A version that was refused or released before its weights were removed stays so.
    state = VersionState.CANDIDATE if version.state is VersionState.BUILDING else version.state
    with run.ledger.write() as tx:
        tx.set_version_state(version.number, state, version_hash=version_hash)
        for request in planned.requests:
            if request.key in left_out:
                tx.set_quarantine(request.key, request.value_hash, left_out[request.key], now)
        body = {
            "version": version.number,
            "hash": version_hash,
            "plan": plan_hash,
            "facts": len(manifest.requests),
            "left_out": {str(key): reason for key, reason in left_out.items()},
            "targets_reused": made.report.targets_reused,
        }
        tx.append_audit("edit", run.actor, body, now)
        stored = tx.version(version.number)
    if stored is None:
        raise NotFound(f"Version {version.number} vanished from the ledger while it was built.")
    return EditResult(version=stored, left_out=left_out, already=False)


def forecast_edit(run: Run, plan_hash: str, store: CheckpointStore) -> EditResult:
    """The version that ``edit`` would build, as an intent; to be called on a copy of the ledger. Raises as ``edit``."""
    _, version = _intend(run, plan_hash)
    return EditResult(version=version, left_out={}, already=version.version_hash in store.hashes())


def _intend(run: Run, plan_hash: str) -> tuple[EditPlan, Version]:
    with run.ledger.write() as tx:
        planned = tx.plan(plan_hash)
        if planned is None:
            raise NotFound(f"The ledger holds no plan {plan_hash}.", next_step="Make one: `kbsync plan`.")
        version = tx.version_by_build(planned.build_hash)
        if version is None:
            if not planned.requests:
                raise EditError(
                    "The plan holds no facts, so there is nothing to edit.",
                    kept="All versions stay as they are.",
                    next_step="To answer like the base again: `kbsync rollback --to 0`.",
                )
            version = tx.add_version(plan_hash, planned, run.clock.now())
    return planned, version


def _manifest(run: Run, planned: EditPlan, recipe: Recipe, made: Edit, store: CheckpointStore) -> Manifest:
    with run.ledger.read() as tx:
        head = tx.audit_head()
    written: list[EditRequest] = [r for r in planned.requests if r.id not in made.report.left_out]
    return Manifest(
        base_fingerprint=planned.base_fingerprint,
        build_hash=planned.build_hash,
        recipe=recipe,
        requests=tuple(written),
        factors=store.factor_hashes(made.delta),
        targets=dict(made.targets),
        covariance_fingerprint=made.covariance_fingerprint,
        libraries=dict(made.libraries),
        report=made.report,
        audit_head=head,
        created_at=run.clock.now(),
        guards=planned.guards,
        artifacts=dict(made.artifacts),
    )
