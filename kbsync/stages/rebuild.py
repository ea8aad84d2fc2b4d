"""rebuild: compute a version again from its manifest, and compare.

A version is a function of (base, facts, recipe), so the same inputs give the same bytes on the same machine. Where they
don't, the differences are named from the inputs to the factors, because one follows from the other.
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

NAMED = 10
"""So many differing facts are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResult:
    """``reproduced``: ``got`` is the ``expected`` version hash; else ``differences`` say where they part.

    ``targets_reused`` of ``facts`` target vectors came from the artifact store. ``repaired``: what was built was stored.
    """

    version: int
    expected: str
    got: str
    reproduced: bool
    differences: tuple[str, ...]
    facts: int
    targets_reused: int
    repaired: bool
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
    """Build version ``number`` again; ``repair`` stores the result where it is the same version, which replaces weights
    that were removed or damaged.

    Raises ``NotFound`` for a version that is not built, ``ModelError`` when another base is loaded than it was built on.
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
    made = editor(stored.recipe).edit(stored.requests, stored.recipe, run.work, guards=stored.guards)
    again = _manifest(stored, made, store)
    reproduced = again.version_hash == version.version_hash
    if repair and reproduced:
        store.write(stored, made.delta)
        if evaluation is not None:
            store.annotate(version.version_hash, evaluation)
    return RebuildResult(
        version=number,
        expected=version.version_hash,
        got=again.version_hash,
        reproduced=reproduced,
        differences=() if reproduced else differences(stored, again),
        facts=len(stored.requests),
        targets_reused=made.report.targets_reused,
        repaired=repair and reproduced,
        seconds=made.report.seconds,
    )


def differences(stored: Manifest, again: Manifest) -> tuple[str, ...]:
    """What makes the version hashes of two manifests of the same facts differ, causes first (a pure function)."""
    said = []
    if stored.build_hash != again.build_hash:
        said.append("the manifest's facts, guards and recipe are not those that its build hash stands for")
    said += _changed("library", stored.libraries, again.libraries)
    if stored.covariance_fingerprint != again.covariance_fingerprint:
        said.append("the key covariance differs: was it measured on other text than [text] corpus names now?")
    names = {r.id: f"{r.key} ({r.subject}: {r.target})" for r in stored.requests}
    wrong = [names.get(i, i) for i in _differing(stored.targets, again.targets)]
    said += [f"the target vector of {name} differs" for name in wrong[:NAMED]]
    if len(wrong) > NAMED:
        said.append(f"{len(wrong) - NAMED} more target vectors differ")
    said += [f"the factors of {name} differ" for name in _differing(stored.factors, again.factors)]
    return tuple(said)


def _manifest(stored: Manifest, made: Edit, store: CheckpointStore) -> Manifest:
    """What the edit stage would have written, of what enters the version hash."""
    asked = {r.id for r in stored.requests} | set(stored.report.left_out)
    recipe = stored.recipe.fingerprint
    return replace(
        stored,
        build_hash=build_hash(stored.base_fingerprint, recipe, asked, stored.guards),
        factors=store.factor_hashes(made.delta),
        targets=dict(made.targets),
        covariance_fingerprint=made.covariance_fingerprint,
        libraries=dict(made.libraries),
    )


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _changed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    found = _differing(before, after)
    return [f"{what} {n}: {before.get(n, 'none')} then, {after.get(n, 'none')} now" for n in found]
