"""The forms of phrasing side by side: what is shown of an evaluation's metrics, and the table of it."""

from __future__ import annotations

from kbsync.domain.gate import Metric
from kbsync.views.forms import by_form
from kbsync.views.html import environment

METRICS = [
    Metric(name=name, value=value, base=base, samples=9)
    for name, value, base in (
        ("efficacy", 0.97, 0.0),
        ("generalization_question", 0.91, 0.08),
        ("known_question", 0.55, 0.57),
        ("known_kept_question", 0.96, 1.0),
        ("known_dialogue", 0.3, 0.36),
        ("perplexity", 20.0, 20.0),
    )
]


def test_the_edited_prompt_comes_first_and_forms_without_a_figure_are_left_out() -> None:
    views = by_form(METRICS)
    assert [view.form for view in views] == ["edited prompt", "question", "dialogue"]
    question, dialogue = views[1:]
    assert question.edited is not None and (question.edited.value, question.edited.base) == (0.91, 0.08)
    assert question.kept is not None and question.kept.value == 0.96
    assert (dialogue.edited, dialogue.kept) == (None, None)
    assert by_form([]) == []


def test_the_table_has_the_base_s_own_share_beside_each() -> None:
    macros = environment("kbsync.views").get_template("_macros.html").module
    shown = macros.forms(by_form(METRICS), 2)  # type: ignore[attr-defined]
    assert 'id="forms"' in shown and "version 2" in shown
    for value in ("0.97", "0.91", "0.08", "0.57", "0.96"):
        assert f">{value}<" in shown
    assert macros.forms([], 2).strip() == ""  # type: ignore[attr-defined]
