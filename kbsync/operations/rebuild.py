"""What ``kbsync rebuild`` works with: the stored artifacts, or as few of them as is asked for."""

from __future__ import annotations

from kbsync.bootstrap import App
from kbsync.domain.recipe import Recipe
from kbsync.ports import Editor
from kbsync.stages.rebuild import RebuildResult, rebuild
from kbsync.stages.session import Run

COMPUTED = ("contexts", "covariance", "targets")
"""The kinds of artifact that an edit computes, and may compute again."""


def run_rebuild(app: App, run: Run, number: int, *, anew: bool, repair: bool) -> RebuildResult:
    """Build version ``number`` again, ``anew`` without anything from the artifact store. With ``repair``, for which
    ``run`` must hold the writer's lease, weights and artifacts are stored if they are those of the version."""
    from kbsync.checkpoints.recording_store import Traceless

    artifacts = Traceless(app.artifacts, COMPUTED if anew else ())

    def editor(recipe: Recipe) -> Editor:
        return app.editor(recipe, artifacts)

    result = rebuild(run, number, app.base.fingerprint, editor, app.store, repair=repair)
    if result.repaired:
        artifacts.keep()
    return result
