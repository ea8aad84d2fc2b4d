"""Held-out questions about edited facts, with the right fact before them and without it.

Asked of base and version they tell whether the edit or the fact in the context answers better, and what both give
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kbsync.domain.fact_sentence import answerable, behind, sentence_of
from kbsync.domain.phrasing import Use, fill
from kbsync.domain.plan import EditRequest
from kbsync.stages.evaluate.question import (
    WITH_CONTEXT,
    WITHOUT_CONTEXT,
    Question,
    ask,
    right_names,
    spread_sample,
)
from kbsync.stages.facts import BelievedFacts


def context_questions(facts: BelievedFacts, requests: Sequence[EditRequest], most: int) -> list[Question]:
    """At most ``most`` questions, each twice; all about edited facts whose value is still believed."""
    both = {(q.key, q.prompt): (q, told) for request in requests for q, told in _about(facts, request)}
    drawn = spread_sample((bare for bare, _ in both.values()), most)
    return [question for bare in drawn for question in both[bare.key, bare.prompt]]


def _about(facts: BelievedFacts, request: EditRequest) -> Iterator[tuple[Question, Question]]:
    relation, fact = facts.watched.get(request.key, (None, None))
    if relation is None or fact is None or fact.value_hash != request.value_hash or not answerable(fact):
        return
    sentence = sentence_of(relation, fact)
    for phrasing in relation.of(Use.HELD_OUT):
        prompt = ask(relation, phrasing, request.subject)
        if prompt == request.prompt:
            continue
        frame, text = relation.frames.of(Use.HELD_OUT, phrasing.form), fill(phrasing.text, request.subject)
        bare = Question(group=WITHOUT_CONTEXT, key=request.key, prompt=prompt, names=right_names(request, fact))
        yield (
            bare,
            replace(bare, group=WITH_CONTEXT, prompt=behind([sentence], text, frame, phrasing.form), judged_as=prompt),
        )
