"""On a device that is not the CPU kbsync does what it does on the CPU, and its inner loops hardly wait for it.

The device is pretended: it computes on the CPU, so the results are the same bits, and it refuses tensors of the CPU
where CUDA would. Attention takes one and the same kernel on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.targets import search
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import Edit
from tests.support.editing_world import editor_for, recipe_for, same_factors
from tests.support.families import IN_MANY_PHRASINGS, REWRITES, Silent, random_model, recipe, tokenizer
from tests.support.pretended_device import Traffic, placed, plain_attention, pretended_device

PROMPTS = ["The capital of France is", "Who leads Norway? It is Anna and", "x"]


@pytest.fixture(autouse=True)
def one_attention() -> Iterator[None]:
    with plain_attention():
        yield


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_questions_get_the_same_answers(family: str) -> None:
    def asked(model: Any) -> list[Any]:
        answering = TorchLanguageModel(model, tokenizer(), "x")
        likeliest = answering.next_tokens(PROMPTS)
        return [
            answering.complete(PROMPTS, max_new_tokens=3),
            answering.scores([(prompt, "Oslo is") for prompt in PROMPTS]),
            answering.perplexity(PROMPTS),
            likeliest,
            answering.divergence(PROMPTS[::-1], likeliest),
            answering.sample(PROMPTS, length=14),
        ]

    own = asked(random_model(family))
    with pretended_device():
        assert asked(placed(random_model(family))) == own


REFINED = {"phrasings": "all", "refine_epochs": 2, "refine_batch": 2, "press_rounds": 1, "token_threshold": 0.5}
EDITS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "memit": ("llama", "memit", {"guard_count": 2}),
    "memit before a norm": ("gemma3", "memit", {"press_rounds": 1}),
    "all phrasings, refined": ("llama", "memit", REFINED),
    "rome": ("llama", "rome", {}),
    "alphaedit": ("llama", "alphaedit", {"null_space_share": 0.2}),
    "finetune": ("llama", "finetune", {}),
    "breadth-first": ("llama", "breadth-first", {"refine_text": 0.0}),
}


def edited(model: Any, algorithm: str, changes: dict[str, Any]) -> Edit:
    rewrites: tuple[Rewrite, ...] = IN_MANY_PHRASINGS if changes.get("phrasings") == "all" else REWRITES
    return editor_for(algorithm, model).edit(rewrites[:2], recipe_for(algorithm, steps=2, **changes), Silent())


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_gives_the_same_bits(name: str) -> None:
    family, algorithm, changes = EDITS[name]
    own = edited(random_model(family), algorithm, changes)
    with pretended_device():
        assert same_factors(edited(placed(random_model(family)), algorithm, changes), own)


@pytest.mark.parametrize("phrasings", ["first", "all"])
def test_a_step_of_the_target_search_waits_twice(phrasings: str) -> None:
    """Once for what is decided from, once for Adam's corrections; more only where other prompts run than before."""
    r = recipe(steps=6, phrasings=phrasings, loss_threshold=1e-9)
    given = IN_MANY_PHRASINGS if phrasings == "all" else REWRITES
    rewrites = [tokenise(tokenizer(), one, r.contexts, phrasings=phrasings == "all") for one in given]
    marks: list[Traffic] = []
    with pretended_device() as traffic:
        model = placed(random_model("llama"))
        decoder = discover(model)
        insertion, head = insertion_for(decoder, decoder.edited_layers(r.layers)), VocabularyHead(decoder)
        with frozen(model):
            found = list(search(rewrites, r, insertion, head, lambda: marks.append(traffic.copy())))
    assert len(found) == len(rewrites) and all(target is not None for _, target in found)
    steps = [after.since(before) for before, after in pairwise(marks[1:])]
    assert len(steps) == r.steps - 2
    assert all(step.to_host.total() == 1 for step in steps), steps
    most = 1 if phrasings == "first" else 40
    assert max(step.to_device.total() for step in steps) <= most, steps
