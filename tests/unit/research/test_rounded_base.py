"""What rounding alone costs an unedited model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbsync.domain.version import PromptOutcome
from kbsync.research.rounded_base import rounded_known
from tests.support.families import random_model, same_weights, weights


def known(form: str, prompt: str, *, base_right: bool = True) -> PromptOutcome:
    return PromptOutcome(
        group=f"known_{form}", subject="Q1", property="P36", prompt=prompt, expected="Oslo", base_answer=" Oslo.",
        answer=" Rome.", base_right=base_right, right=False,
    )  # fmt: skip


class Asked:
    """Says Oslo, but Bergen to one prompt where the weights are not the model's own."""

    def __init__(self, model: Any) -> None:
        self.model, self.own, self.asked = model, weights(model), []

    def complete(self, prompts: Sequence[str], *, max_new_tokens: int, work: Any = None) -> list[str]:
        assert max_new_tokens == 7
        self.asked.append(list(prompts))
        moved = not same_weights(self.model, self.own)
        return [" Bergen" if moved and prompt == "close" else " Oslo" for prompt in prompts]


def test_known_answers_are_asked_of_the_rounded_base() -> None:
    model = random_model("llama")
    asked = Asked(model)
    outcomes = [
        known("statement", "far"),
        known("statement", "close"),
        known("question", "far"),
        known("dialogue", "never right", base_right=False),
        known("elsewhere", "of another group"),
    ]
    names = {("Q1", "P36"): ("Oslo", "Christiania")}
    figures = list(rounded_known(model, asked, outcomes, names, answer_tokens=7, kinds=("q4_0",)))  # type: ignore[arg-type]
    assert {figure.name: figure.value for figure in figures} == {
        "base_as_q4_0.known_kept.statement": 0.5,
        "base_as_q4_0.known_kept.question": 1.0,
    }
    assert asked.asked == [["far", "close", "far"]]
    assert same_weights(model, asked.own)


def test_both_types_in_which_small_models_are_served_are_looked_at() -> None:
    model = random_model("llama")
    names = {("Q1", "P36"): ("Oslo",)}
    figures = rounded_known(model, Asked(model), [known("question", "far")], names, answer_tokens=7)  # type: ignore[arg-type]
    assert [figure.name for figure in figures] == [
        "base_as_q8_0.known_kept.question",
        "base_as_q4_0.known_kept.question",
    ]
