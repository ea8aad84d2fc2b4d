"""On a device that is not the CPU kbsync does what it does on the CPU, and its inner loops hardly wait for it.

The device is pretended: it computes on the CPU, so the results are the same bits, and it refuses tensors of the CPU
where CUDA would. Attention takes one and the same kernel on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import Prompt, locate, tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.covariance.corpus import corpus
from kbsync.editing.covariance.second_moments import Snapshots, measure
from kbsync.editing.editors import EDITORS
from kbsync.editing.interface.fact_trace import trace_fact
from kbsync.editing.memit.distributions import expected
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.refinement import REFINEMENT, Refinement
from kbsync.editing.memit.targets import search
from kbsync.editing.mend.editor import KIND, network_key
from kbsync.editing.relations.few_shot import Pair, asked
from kbsync.editing.relations.lens import seen
from kbsync.editing.relations.linear import decoded, estimate
from kbsync.editing.relations.states import read_states, said_with
from kbsync.model.decoder import discover
from kbsync.model.decoding import greedy
from kbsync.model.delta import FactorDelta
from kbsync.model.hooks import frozen
from kbsync.model.language_model import TorchLanguageModel
from kbsync.ports import Edit
from tests.support.editing_world import editor_for, recipe_for, same_factors
from tests.support.families import (
    IN_MANY_PHRASINGS,
    REWRITES,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    texts,
    tokenizer,
)
from tests.support.mend_world import mend_recipe, stirred, training_for
from tests.support.pretended_device import Traffic, placed, plain_attention, pretended_device

PROMPTS = ["The capital of France is", "Who leads Norway? It is Anna and", "x"]


@pytest.fixture(autouse=True)
def one_attention() -> Iterator[None]:
    with plain_attention():
        yield


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    with pretended_device() as counted:
        yield counted


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_questions_get_the_same_answers(family: str) -> None:
    def answers(model: Any) -> list[Any]:
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

    own = answers(random_model(family))
    with pretended_device():
        assert answers(placed(random_model(family))) == own


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
def test_a_step_of_the_target_search_waits_twice(phrasings: str, traffic: Traffic) -> None:
    """Once for what is decided from, once for Adam's corrections; more only where other prompts run than before."""
    r = recipe(steps=6, phrasings=phrasings, loss_threshold=1e-9)
    given = IN_MANY_PHRASINGS if phrasings == "all" else REWRITES
    rewrites = [tokenise(tokenizer(), one, r.contexts, phrasings=phrasings == "all") for one in given]
    marks, model = list[Traffic](), placed(random_model("llama"))
    decoder = discover(model)
    insertion, head = insertion_for(decoder, decoder.edited_layers(r.layers)), VocabularyHead(decoder)
    with frozen(model):
        found = list(search(rewrites, r, insertion, head, lambda: marks.append(traffic.copy())))
    assert len(found) == len(rewrites) and all(target is not None for _, target in found)
    steps = [after.since(before) for before, after in pairwise(marks[1:])]
    assert len(steps) == r.steps - 2
    assert all(step.to_host.total() == 1 for step in steps), steps
    most = 1 if phrasings == "first" else 6
    assert max(step.to_device.total() for step in steps) <= most, steps


def test_a_token_of_a_continuation_waits_once_beside_transformers(traffic: Traffic) -> None:
    """transformers asks once itself whether anything is padded."""
    marks: list[Traffic] = []

    def goes_on(_token: int) -> bool:
        marks.append(traffic.copy())
        return False

    new = greedy(placed(random_model("llama")), [[5, 6, 7], [7, 8, 9, 10]], 5, goes_on, set())
    assert [len(row) for row in new] == [5, 5]
    assert [mark.since(before).waits for before, mark in pairwise(marks[1::2])] == [2, 2, 2, 2]


def test_a_batch_of_scores_waits_four_times_however_many_pairs_it_has(traffic: Traffic) -> None:
    model = TorchLanguageModel(placed(random_model("llama")), tokenizer(), "x")

    def waits(pairs: list[tuple[str, str]]) -> int:
        before = traffic.copy()
        model.scores(pairs)
        between = traffic.since(before)
        return sum(n for c in (between.to_host, between.to_device) for place, n in c.items() if "scoring" in place)

    pairs = [("The capital of France is", answer) for answer in ("Paris", "Oslo", "Rome", "a")]
    assert len(model.cut_pairs(pairs)) == waits(pairs) // 4 == waits(pairs[:2]) // 4 == 1


def test_a_batch_of_the_covariance_waits_three_times_and_once_for_each_layer(traffic: Traffic) -> None:
    """For its tokens, for the places that count, in transformers, and for each layer's sum."""
    model, marks = placed(random_model("llama")), _Marks(traffic)
    text = corpus(discover(model), tokenizer(), texts(400), 8_000, 0)
    with frozen(model):
        sums = measure(discover(model), text, [1, 2], 1, Snapshots(MemoryArtifacts(), "x"), marks)
    assert sums.count >= 8_000 and all(total.device.type == "cpu" for total in sums.by_layer.values())
    between = [after.since(before).waits for before, after in pairwise(marks.at_advance)]
    assert len(between) > 1 and set(between) == {5}


def test_a_step_of_the_refinement_waits_for_what_it_reads_and_for_no_result(traffic: Traffic) -> None:
    """Three passes: tokens and places of each, and what the losses count; the rest is asked for by transformers."""
    model, marks = placed(random_model("llama")), _Marks(traffic)
    decoder = discover(model)
    draw = torch.Generator().manual_seed(1)
    layers = decoder.edited_layers((1, 2))
    factors = {
        x.down.name: (torch.randn(32, 4, generator=draw) / 99, torch.randn(4, 48, generator=draw)) for x in layers
    }
    r = recipe(refine_epochs=1, refine_batch=2, refine_threshold=1e-3)
    prompts = [p for one in REWRITES for p in tokenise(tokenizer(), one, r.contexts).prompts]
    with frozen(model):
        kept = expected(decoder, [locate(tokenizer(), "{} is", "Italy", "Rome")] * 3)
        ordinary = expected(decoder, [Prompt(tuple(range(5, 25)), 0, 12)] * 3)
        moments = {layer: torch.eye(48) for layer in (1, 2)}
        Refinement(decoder, layers, moments, r, marks).run(FactorDelta(factors), prompts, kept, ordinary)
    steps = [after.since(before) for before, after in pairwise(marks.at_checkpoint[marks.begun[REFINEMENT] :])]
    assert len(steps) > 2
    assert all(step.to_device.total() <= 8 for step in steps), steps
    assert all("at transformers." in place for step in steps for place in step.to_host), steps


@pytest.mark.parametrize("form", ["bfloat16", "q8_0+lora"])
def test_a_refinement_for_a_rounded_form_gives_the_same_bits(form: str) -> None:
    changes = {"phrasings": "all", "refine_epochs": 1, "refine_batch": 3, "refine_text": 0.0, "refine_as": (form,)}
    own = edited(random_model("llama"), "memit", changes)
    with pretended_device():
        assert same_factors(edited(placed(random_model("llama")), "memit", changes), own)


def test_contexts_that_the_model_samples_are_the_same() -> None:
    def sampled(model: Any) -> Edit:
        r = recipe(steps=1, contexts=(), context_count=2, context_tokens=4)
        return editor_for("memit", model).edit(REWRITES[:1], r, Silent())

    own = sampled(random_model("llama"))
    with pretended_device():
        assert same_factors(sampled(placed(random_model("llama"))), own)


def test_a_causal_trace_is_the_same() -> None:
    def traced(model: Any) -> object:
        return trace_fact(model, tokenizer(), "The capital of {} is", "France", None, samples=2, window=2)

    own = traced(random_model("llama"))
    with pretended_device():
        assert traced(placed(random_model("llama"))) == own


def test_a_linear_relation_is_the_same() -> None:
    shown = [Pair("France", "Paris"), Pair("Italy", "Rome")]

    def read(model: Any) -> list[Any]:
        decoder = discover(model)
        with frozen(model):
            relation = estimate(decoder, tokenizer(), "{} is", shown, (1,))[1]
            prompts = [asked(tokenizer(), "{} is", shown[:1], "Acme Inc."), asked(tokenizer(), "{} is", [], "Norway")]
            states = read_states(decoder, prompts, [1])
            changes = relation.changes(states.objects - states.objects.flip(0), 4)
            return [
                decoded(decoder, relation.objects(states.subjects[1], 2.0)).tolist(),
                (said_with(decoder, prompts, 1, changes) == states.said).tolist(),
                seen(decoder, tokenizer(), relation, 1.0, prompts),
            ]

    own = read(random_model("llama"))
    with pretended_device():
        assert read(placed(random_model("llama"))) == own


def test_mends_network_is_trained_taken_up_and_used_the_same() -> None:
    r = mend_recipe(steps=3)

    def trained(model: Any) -> tuple[bytes, bytes, Edit]:
        training, states = stirred(training_for(model, r)), list[bytes]()
        training.run(lambda so_far: states.append(so_far.state()), 2)
        again = training_for(model, r)
        again.restore(states[0])
        again.run(lambda _: None, 2)
        artifacts = MemoryArtifacts()
        artifacts.put(KIND, network_key("base", r), training.network.to_bytes())
        edit = EDITORS["mend"](model, tokenizer(), "base", artifacts, texts()).edit(REWRITES, r, Silent())
        return states[-1], again.state(), edit

    *own, own_edit = trained(random_model("llama"))
    assert own[0] == own[1]
    with pretended_device():
        *found, edit = trained(placed(random_model("llama")))
        assert found == own and same_factors(edit, own_edit)


class _Marks(Silent):
    """What went between host and device before each call."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic
        self.at_advance: list[Traffic] = []
        self.at_checkpoint: list[Traffic] = []
        self.begun: dict[str, int] = {}
        """Checkpoints before each step of the work."""

    def start(self, step: str, total: int | None) -> None:
        self.begun[step] = len(self.at_checkpoint)
        super().start(step, total)

    def advance(self, count: int = 1) -> None:
        self.at_advance.append(self._traffic.copy())
        super().advance(count)

    def checkpoint(self) -> None:
        self.at_checkpoint.append(self._traffic.copy())
        super().checkpoint()
