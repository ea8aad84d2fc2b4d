"""edit: build the candidate version that a plan describes, from the pinned base.

It is committed in two steps: the intent (a numbered version in state ``building``) before the work, and the result
after the store has verified it. A kill in between leaves the intent, and the next run builds the same version again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbsync.domain.errors import EditError, NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditPlan
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import Manifest, Version, VersionState
from kbsync.ports import CheckpointStore, Edit, Editor
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """The version of a plan."""

    version: Version
    left_out: Mapping[FactKey, str]
    """Why facts could not be edited; they are in quarantine now."""
    already: bool
    """The version was built before."""


def edit(run: Run, plan_hash: str, recipe: Recipe, editor: Editor, store: CheckpointStore) -> EditResult:
    """Build the planned version; one whose weights were removed is built again.

    Raises:
        NotFound: The plan is unknown.
        EditError: The plan holds no facts or was made for another recipe, no sound delta exists, or a version whose
            weights were removed does not come out as it was.
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
    result = editor.edit(planned.requests, recipe, run.work, guards=planned.guards)
    manifest = _manifest(run, planned, recipe, result, store)
    if version.version_hash not in (None, manifest.version_hash):
        raise EditError(
            f"Version {version.number}, whose weights were removed, comes out as another one: a library or the "
            "covariance changed.",
            kept="All versions stay as they are.",
            next_step=f"`kbsync rebuild {version.number}` names what differs; a recipe with another seed makes a new "
            "version.",
        )
    store.write(manifest, result.delta)
    left_out = {r.key: result.report.left_out[r.id] for r in planned.requests if r.id in result.report.left_out}
    built = _record(run, plan_hash, planned, version, manifest, left_out)
    return EditResult(version=built, left_out=left_out, already=False)


def forecast_edit(run: Run, plan_hash: str, store: CheckpointStore) -> EditResult:
    """Record the intent of the version that ``edit`` would build; to be called on a copy of the ledger.

    Raises:
        NotFound: The plan is unknown.
        EditError: The plan holds no facts.
    """
    _, version = _intend(run, plan_hash)
    return EditResult(version=version, left_out={}, already=version.version_hash in store.hashes())


def _intend(run: Run, plan_hash: str) -> tuple[EditPlan, Version]:
    """The plan and its version, which gets its number here if it is new."""
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


def _record(
    run: Run,
    plan_hash: str,
    planned: EditPlan,
    version: Version,
    manifest: Manifest,
    left_out: Mapping[FactKey, str],
) -> Version:
    """Put the version that is stored now into the ledger, and facts that could not be edited into quarantine."""
    now = run.clock.now()
    # A version that was refused or promoted before its weights were removed stays so.
    state = VersionState.CANDIDATE if version.state is VersionState.BUILDING else version.state
    body = {
        "version": version.number,
        "hash": manifest.version_hash,
        "plan": plan_hash,
        "facts": len(manifest.requests),
        "left_out": {str(key): reason for key, reason in left_out.items()},
        "targets_reused": manifest.report.targets_reused,
    }
    with run.ledger.write() as tx:
        tx.set_version_state(version.number, state, version_hash=manifest.version_hash)
        for request in planned.requests:
            if request.key in left_out:
                tx.set_quarantine(request.key, request.value_hash, left_out[request.key], now)
        tx.append_audit("edit", run.actor, body, now)
        built = tx.version(version.number)
    if built is None:
        raise NotFound(f"Version {version.number} vanished from the ledger while it was built.")
    return built


def _manifest(run: Run, planned: EditPlan, recipe: Recipe, edit: Edit, store: CheckpointStore) -> Manifest:
    with run.ledger.read() as tx:
        head = tx.audit_head()
    return Manifest(
        base_fingerprint=planned.base_fingerprint,
        build_hash=planned.build_hash,
        recipe=recipe,
        requests=tuple(r for r in planned.requests if r.id not in edit.report.left_out),
        factors=store.factor_hashes(edit.delta),
        targets=dict(edit.targets),
        covariance_fingerprint=edit.covariance_fingerprint,
        libraries=dict(edit.libraries),
        report=edit.report,
        audit_head=head,
        created_at=run.clock.now(),
        guards=planned.guards,
        artifacts=dict(edit.artifacts),
    )
