"""The stages' settings are those of the configuration."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from contextlib import closing

from kbsync.bootstrap import App
from kbsync.config import load_all
from tests.support.site import Site, clean_environment, new_site, random_base, site  # noqa: F401


def test_a_stages_settings_are_the_configurations(site: Site) -> None:
    with closing(App(load_all(site.config), actor="test")) as app:
        settings, bound = app.settings, app.stages.settings
    assert bound.answer_tokens == settings.model.base_answer_tokens
    assert (bound.plan.limit, bound.plan.suspicion) == (settings.edit.max_facts, settings.edit.suspicion)
    assert bound.plan.kinds == set(settings.edit.verdicts)
    assert (bound.gate, bound.pause) == (settings.gate.policy, settings.gate.pause)
    assert (bound.canary.count, bound.canary.max_drop) == (settings.gate.canaries, settings.gate.canary_drop)
    assert bound.search is not None and bound.search.builds == settings.gate.builds
    demanded = [t.min_samples for t in settings.gate.thresholds if t.metric == "specificity"]
    assert bound.evaluation.enough == max(demanded)
