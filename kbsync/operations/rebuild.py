"""Builds a stored version again, with the stored artifacts or without them."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.domain.recipe import Recipe
from kbsync.ports import Editor
from kbsync.stages.rebuild import RebuildResult, rebuild
from kbsync.stages.session import Run

COMPUTED = ("contexts", "covariance", "expected", "factor", "refinement", "targets")
"""The kinds of artifact that an edit can compute again."""


def run_rebuild(app: App, run: Run, number: int, *, anew: bool, repair: bool) -> RebuildResult:
    """Build a version again and compare it with the stored one.

    Args:
        run: Must hold the writer's lease where ``repair`` is set.
        anew: Take nothing from the artifact store.
        repair: Store weights and artifacts if they are those of the version.
    """
    from kbsync.checkpoints.recording_store import OverlayStore

    artifacts = OverlayStore(app.artifacts, COMPUTED if anew else ())

    def editor(recipe: Recipe) -> Editor:
        return app.editor(recipe, artifacts)

    result = rebuild(run, number, app.base.fingerprint, editor, app.store, repair=repair)
    if result.repaired:
        artifacts.commit()
    return result
