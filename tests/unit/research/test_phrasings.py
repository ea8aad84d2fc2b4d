"""The figures of the benchmark of phrasings."""

from __future__ import annotations

from dataclasses import replace

from kbsync.domain.gate import Metric
from kbsync.domain.phrasing import Form
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import EditReport, PromptOutcome
from kbsync.research.phrasings import figures_of, missed_answers
from kbsync.research.stopwatch import Seconds
from kbsync.research.written_facts import Variant, Written
from kbsync.stages.evaluate.measurement import Measured


def outcome(group: str, right: bool) -> PromptOutcome:
    return PromptOutcome(
        group=group, subject="Q1", property="P36", prompt="prompt", expected="Oslo", base_answer="", answer="Bergen",
        base_right=False, right=right,
    )  # fmt: skip


def written(*metrics: Metric, outcomes: tuple[PromptOutcome, ...] = ()) -> Written:
    variant = Variant(name="given", recipe=Recipe(layers=(1,)), requests=(), guards=())
    measured = Measured(metrics=metrics, outcomes=outcomes)
    report = EditReport(layers=(), seconds=9.0)
    return Written(variant=variant, searched=Seconds(4.0, 3.0), report=report, measured=measured)


def metric(name: str, value: float, base: float = 0.1) -> Metric:
    return Metric(name=name, value=value, base=base, samples=7)


def test_figures_are_named_by_form_with_their_prompts_and_the_base_s_own_share() -> None:
    line = written(
        metric("efficacy", 0.9),
        metric("generalization_question", 0.8, base=0.2),
        metric("known_question", 0.6, base=0.5),
        metric("known_kept_question", 0.95, base=1.0),
        metric("perplexity", 22.0, base=20.0),
    )
    values = {figure.name: round(figure.value, 9) for figure in figures_of(line, is_chat=False)}
    assert values == {
        "edited.prompt": 0.9,
        "edited.question": 0.8,
        "known_kept.question": 0.95,
        "base_edited.question": 0.2,
        "base_known.question": 0.5,
        "prompts.prompt": 7,
        "prompts.question": 7,
        "prompts.known_kept.question": 7,
        "perplexity_growth": 0.1,
        "edit_seconds": 9.0,
    }


def test_an_edit_of_which_a_killed_run_had_done_a_part_has_no_seconds() -> None:
    line = written(metric("efficacy", 0.9))
    resumed = replace(line, report=replace(line.report, targets_reused=1))
    assert "edit_seconds" not in {figure.name for figure in figures_of(resumed, is_chat=False)}


def test_what_goes_through_the_chat_template_is_a_figure_of_its_own() -> None:
    outcomes = (
        outcome("edited_question", True),
        outcome("edited_question", True),
        outcome("edited_dialogue", False),
        outcome("edited_statement", False),
    )
    (chat,) = [f for f in figures_of(written(outcomes=outcomes), is_chat=True) if f.name == "edited.chat"]
    assert round(chat.value, 3) == 0.667


def test_a_few_wrong_answers_of_each_group_are_told() -> None:
    outcomes = [outcome(f"edited_{form}", right) for form in Form for right in (False, False, True)]
    missed = missed_answers(outcomes, 1)
    assert {group: len(wrong) for group, wrong in missed.items()} == {f"edited_{form}": 1 for form in Form}
    assert missed["edited_question"] == [{"prompt": "prompt", "expected": "Oslo", "answer": "Bergen"}]
