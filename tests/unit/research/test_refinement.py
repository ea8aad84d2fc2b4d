"""The ablation of the refinement: its lines, and what it takes beside the search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kbsync.domain.recipe import Recipe
from kbsync.research.bench import Data
from kbsync.research.grid import Algorithm
from kbsync.research.refinement import REFINED, SHARDED, places, run_refinement, ways
from tests.support.research_bench import EXTENT, RECIPE, NoiseEditor, bench, counterfact, value

__all__ = ["counterfact"]
WHOLE = replace(RECIPE, refine_epochs=3, refine_preserved=4.0, refine_text=6.0)


class TimedEditor(NoiseEditor):
    """Takes a second of the processor for each fact's target, and three for a refinement."""

    def edit(self, rewrites: Any, recipe: Recipe, work: Any, *, guards: Any = ()) -> Any:
        work.start("targets", len(rewrites))
        work.finish()
        if recipe.refine_epochs:
            work.start("refinement", recipe.refine_epochs)
            work.finish()
        return super().edit(rewrites, recipe, work, guards=guards)


def lines(editor: NoiseEditor) -> list[Algorithm]:
    return [Algorithm(name, recipe, lambda: editor, "corpus") for name, recipe in ways(WHOLE)]


def test_each_way_leaves_something_out_or_does_more() -> None:
    found = dict(ways(WHOLE))
    assert found[REFINED] == WHOLE
    assert found["closed-form"].refine_epochs == 0
    assert found["closed-form-fourfold"].covariance_weight == 4 * RECIPE.covariance_weight
    assert (found["unheld"].refine_preserved, found["unheld"].refine_text) == (0.0, 0.0)
    assert (found["text-held"].refine_preserved, found["text-held"].refine_text) == (0.0, 6.0)
    assert (found["prompts-held"].refine_preserved, found["prompts-held"].refine_text) == (4.0, 0.0)
    assert (found["held-twice"].refine_preserved, found["held-twice"].refine_text) == (8.0, 12.0)
    assert len({recipe.fingerprint for recipe in found.values()}) == len(found)


def test_the_change_goes_elsewhere_where_there_are_layers_to_choose_from() -> None:
    found = dict(places(replace(WHOLE, layers=(2, 3, 5, 7))))
    assert found["first-and-last"] == replace(WHOLE, layers=(2, 7))
    assert found["closed-form-first-and-last"] == replace(WHOLE, layers=(2, 7), refine_epochs=0)
    assert found[SHARDED] == replace(WHOLE, layers=(2, 3, 5, 7), refine_epochs=0)
    assert list(dict(places(replace(WHOLE, layers=(2, 3))))) == [SHARDED]
    assert not dict(places(WHOLE)), "one layer is first and last"


def test_every_way_is_measured_at_every_size_and_the_refinement_is_timed(
    counterfact: Data, tmp_path: Any, monkeypatch: Any
) -> None:
    editor = TimedEditor()
    document = run_refinement(bench(tmp_path), counterfact, lines(editor), sizes=[4, 2], extent=EXTENT)
    assert document["command"] == "kbsync bench refinement"
    assert editor.calls == [2] * len(lines(editor)) + [4] * len(lines(editor))
    assert value(document, "unheld@4.perplexity_growth") == value(document, f"{REFINED}@4.perplexity_growth")
    steps = [cell["edit"]["steps"] for cell in document["results"] if cell["algorithm"] == REFINED]
    assert [sorted(taken) for taken in steps] == [["refinement", "targets"]] * 2
    searched, refined = value(document, "search_seconds"), value(document, "refinement_seconds")
    assert searched > 0 and refined == steps[-1]["refinement"]
    assert value(document, "seconds_ratio") == refined / searched
    calls = len(editor.calls)
    again = run_refinement(bench(tmp_path), counterfact, lines(editor), sizes=[4, 2], extent=EXTENT)
    assert len(editor.calls) == calls and again["results"] == document["results"], "every finished part is kept"


def test_there_is_no_ratio_where_target_vectors_were_searched_before(counterfact: Data, tmp_path: Any) -> None:
    class Reusing(TimedEditor):
        def edit(self, rewrites: Any, recipe: Recipe, work: Any, *, guards: Any = ()) -> Any:
            edit = super().edit(rewrites, recipe, work, guards=guards)
            return replace(edit, report=replace(edit.report, targets_reused=len(rewrites)))

    document = run_refinement(bench(tmp_path), counterfact, lines(Reusing()), sizes=[2], extent=EXTENT)
    assert not {"search_seconds", "seconds_ratio"} & {figure["name"] for figure in document["figures"]}


def test_half_of_the_searches_stand_for_all_of_them(counterfact: Data, tmp_path: Any) -> None:
    class HalfReusing(TimedEditor):
        def edit(self, rewrites: Any, recipe: Recipe, work: Any, *, guards: Any = ()) -> Any:
            is_first = not self.calls
            edit = super().edit(rewrites, recipe, work, guards=guards)
            reused = len(rewrites) // 2 if is_first else len(rewrites)
            return replace(edit, report=replace(edit.report, targets_reused=reused))

    document = run_refinement(bench(tmp_path), counterfact, lines(HalfReusing()), sizes=[4], extent=EXTENT)
    steps = [cell["edit"]["steps"] for cell in document["results"] if cell["edit"] is not None]
    searched = sum(taken.get("targets", 0.0) for taken in steps)
    assert value(document, "search_seconds") == searched * 2
    assert value(document, "seconds_ratio") == value(document, "refinement_seconds") / (searched * 2)
