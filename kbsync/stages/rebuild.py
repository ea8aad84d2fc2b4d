"""rebuild: compute a version again from its manifest, and compare.

A version is a function of (base, facts, recipe), so the same inputs give the same bytes on the same machine. Where they
do not, the differences are listed from the inputs to the factors, because the later ones follow from the earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kbsync.domain.errors import ModelError, NotFound
from kbsync.domain.plan import build_hash
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import Manifest
from kbsync.ports import CheckpointStore, Edit, Editor
from kbsync.stages.session import Run

MAX_NAMED = 10
"""Largest number of differing facts that are named; the others are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResult:
    """What came out when a version was built again."""

    version: int
    expected: str
    """The version's hash."""
    got: str
    """The hash of what came out."""
    reproduced: bool
    """The two are the same."""
    differences: tuple[str, ...]
    """What makes them differ, causes first; empty where they are the same."""
    facts: int
    """The number of facts that were written."""
    targets_reused: int
    """How many of their target vectors came from the artifact store."""
    repaired: bool
    """What came out was stored."""
    seconds: float


def rebuild(
    run: Run,
    number: int,
    base_fingerprint: str,
    editor: Callable[[Recipe], Editor],
    store: CheckpointStore,
    *,
    repair: bool = False,
) -> RebuildResult:
    """Build version ``number`` again.

    Args:
        base_fingerprint: The configured base.
        editor: Makes the editor of a recipe.
        repair: Store the result, if it is the same version, in place of weights that were removed or damaged.

    Raises:
        NotFound: The version is not built.
        ModelError: The version was built on another base.
    """
    with run.ledger.read() as tx:
        version, evaluation = tx.version(number), tx.evaluation_summary(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    stored = store.manifest(version.version_hash)
    if stored.base_fingerprint != base_fingerprint:
        raise ModelError(
            f"Version {number} was built on another base ({stored.base_fingerprint[:12]}) than the configured one.",
            next_step="Set model.reference and model.dtype to the base that it was built on.",
        )
    edit = editor(stored.recipe).edit(stored.requests, stored.recipe, run.work, guards=stored.guards)
    again = _manifest(stored, edit, store)
    reproduced = again.version_hash == version.version_hash
    if repair and reproduced:
        store.write(stored, edit.delta)
        if evaluation is not None:
            store.annotate(version.version_hash, evaluation)
    return RebuildResult(
        version=number,
        expected=version.version_hash,
        got=again.version_hash,
        reproduced=reproduced,
        differences=() if reproduced else differences(stored, again),
        facts=len(stored.requests),
        targets_reused=edit.report.targets_reused,
        repaired=repair and reproduced,
        seconds=edit.report.seconds,
    )


def differences(stored: Manifest, again: Manifest) -> tuple[str, ...]:
    """Say what makes the version hashes of two manifests of the same facts differ, causes first (a pure function)."""
    found = []
    if stored.build_hash != again.build_hash:
        found.append("the manifest's facts, guards and recipe are not those that its build hash stands for")
    found += _changed("library", stored.libraries, again.libraries)
    if stored.covariance_fingerprint != again.covariance_fingerprint:
        found.append("the key covariance differs: was it measured on other text than [text] corpus names now?")
    names = {r.id: f"{r.key} ({r.subject}: {r.target})" for r in stored.requests}
    wrong = [names.get(i, i) for i in _differing(stored.targets, again.targets)]
    found += [f"the target vector of {name} differs" for name in wrong[:MAX_NAMED]]
    if len(wrong) > MAX_NAMED:
        found.append(f"{len(wrong) - MAX_NAMED} more target vectors differ")
    found += [f"the factors of {name} differ" for name in _differing(stored.factors, again.factors)]
    return tuple(found)


def _manifest(stored: Manifest, edit: Edit, store: CheckpointStore) -> Manifest:
    """The manifest that the edit stage would have written, as far as it enters the version hash."""
    requests = {r.id for r in stored.requests} | set(stored.report.left_out)
    recipe = stored.recipe.fingerprint
    return replace(
        stored,
        build_hash=build_hash(stored.base_fingerprint, recipe, requests, stored.guards),
        factors=store.factor_hashes(edit.delta),
        targets=dict(edit.targets),
        covariance_fingerprint=edit.covariance_fingerprint,
        libraries=dict(edit.libraries),
    )


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _changed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    names = _differing(before, after)
    return [f"{what} {n}: {before.get(n, 'none')} then, {after.get(n, 'none')} now" for n in names]
