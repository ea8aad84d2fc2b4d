"""What mere rounding costs an unedited model: the least that any change of its weights may be expected to cost.

A model answers some questions by a hair. Whatever moves its weights a little turns some of these answers, and a loss of
known facts can only be judged beside that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from transformers import PreTrainedModel

from kbsync.domain.judging import asserts
from kbsync.domain.version import PromptOutcome
from kbsync.model.rounding import in_place, rounded_weights
from kbsync.operations.evidence import Figure
from kbsync.ports import LanguageModel
from kbsync.stages.evaluate.question import KNOWN_FORMS

KINDS = ("q8_0", "q4_0")
"""Block types of GGUF files, which are what small models are mostly served in."""
Names = Mapping[tuple[str, str], Sequence[str]]
"""By item and property, the names of a fact's right answers."""


def rounded_known(
    model: PreTrainedModel,
    ask: LanguageModel,
    outcomes: Sequence[PromptOutcome],
    names: Names,
    *,
    answer_tokens: int,
    kinds: Sequence[str] = KINDS,
) -> Iterator[Figure]:
    """``base_as_<kind>.known_kept.<form>``: of what the base has right in a form, the share that it keeps when rounded.

    Args:
        model: The base, which ``ask`` asks. Its own weights are back when this ends.
        ask: Answers with the weights that are in place.
        outcomes: Of an evaluation. Those count that ask known facts, and that the base has right.
        names: Of the facts that they ask about.
        answer_tokens: Largest length of greedy answers, in tokens.
        kinds: Forms, by their names in ``kbsync.domain.served_form``.

    Raises:
        ModelError: A rounding needs a package that is not installed.
    """
    asked = {form: _known(outcomes, group, names) for form, group in KNOWN_FORMS.items()}
    prompts = [outcome.prompt for some in asked.values() for outcome in some]
    for kind in kinds:
        with in_place(model, rounded_weights(model, kind)):
            answers = iter(ask.complete(prompts, max_new_tokens=answer_tokens))
        for form, some in asked.items():
            kept = [_is_right(outcome, next(answers), names) for outcome in some]
            if kept:
                yield Figure(f"base_as_{kind}.known_kept.{form}", sum(kept) / len(kept), "share")


def _known(outcomes: Sequence[PromptOutcome], group: str, names: Names) -> list[PromptOutcome]:
    return [o for o in outcomes if o.group == group and o.base_right and _is_right(o, o.base_answer, names)]


def _is_right(outcome: PromptOutcome, answer: str, names: Names) -> bool:
    return asserts(answer, tuple(names[outcome.subject, outcome.property]), prompt=outcome.prompt)
