"""Breadth-first fine-tuning trains one matrix as a plain loop over whole weights would."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from kbsync.domain.errors import EditError, ModelError
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.editing.baselines.breadth_first import Training, ended
from kbsync.editing.baselines.whole_change import WholeChanges
from kbsync.editing.common.prompts import Prompt, tokenise
from kbsync.editing.memit.distributions import expected
from kbsync.model.decoder import discover
from kbsync.model.delta import applied
from kbsync.model.hooks import frozen
from kbsync.ports import UNWATCHED
from tests.support.editing_world import NAN_REWRITE, delta_of, editor_for, nan_token, nll, recipe_for
from tests.support.families import (
    IN_MANY_PHRASINGS,
    REWRITES,
    Silent,
    random_model,
    same_weights,
    texts,
    tokenizer,
    weights,
)

END = 7
"""The id that stands for the end of the text."""
PRESERVED = [
    Prompt((*tokenizer()(text)["input_ids"], 7, 9), 1, 4) for text in ("Oslo is a", "Rome has the", "Bern is a")
]
TEXTS = [Prompt(tuple(tokenizer()(text)["input_ids"][:20]), 0, 8) for text in texts(3)]


def prompts() -> dict[str, list[Prompt]]:
    rows = [tokenise(tokenizer(), r, ("Once upon a time. {}",)) for r in REWRITES]
    return {r.id: [ended(p, r, END) for p in r.prompts] for r in rows}


def plain(model: Any, r: Recipe, rows: list[Prompt]) -> Tensor:
    """The weight itself is a leaf; one text after the other goes through the whole model."""
    name = f"model.layers.{r.layers[0]}.mlp.down_proj.weight"
    base = dict(model.named_parameters())
    origin = base[name].detach().clone()
    weight = origin.clone().requires_grad_()
    rate = r.learning_rate * float(origin.norm() / origin.numel() ** 0.5)
    adam = torch.optim.Adam([weight], lr=rate)
    draw = random.Random(r.seed)

    def logprobs(p: Prompt, w: Tensor) -> Tensor:
        out = functional_call(model, {name: w}, kwargs={"input_ids": torch.tensor([p.ids]), "use_cache": False})
        return torch.as_tensor(out.logits[0]).log_softmax(-1)[p.target - 1 : -1]

    def kl(some: list[Prompt]) -> Tensor:
        costs = []
        for p in some:
            before, now = logprobs(p, origin), logprobs(p, weight)
            top = before.topk(64, dim=-1)
            kept, here = top.values.exp(), now.gather(1, top.indices)
            others, others_now = ((1 - q.exp().sum(-1)).clamp(min=1e-6) for q in (top.values, here))
            costs.append((kept * (top.values - here)).sum(-1) + others * (others / others_now).log())
        return torch.cat(costs).mean()

    def drawn(some: list[Prompt], count: int) -> list[Prompt]:
        return [some[n] for n in sorted(draw.sample(range(len(some)), min(count, len(some))))]

    rows = sorted(rows, key=lambda p: p.ids)
    for _ in range(r.steps):
        draw.shuffle(rows)
        for begin in range(0, len(rows), r.batch):
            batch = rows[begin : begin + r.batch]
            kept, ordinary = drawn(PRESERVED, r.batch), drawn(TEXTS, 1)
            costs = [-logprobs(p, weight).gather(1, torch.tensor(p.ids[p.target :])[:, None]).mean() for p in batch]
            loss = torch.stack(costs).mean() + r.refine_preserved * kl(kept) + r.refine_text * kl(ordinary)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    moved: Tensor = (weight - origin).detach()
    return moved


@pytest.mark.slow
def test_the_change_is_that_of_the_plain_loop() -> None:
    model = random_model("llama", torch.float64)
    r = recipe_for("breadth-first", batch=3, steps=3, dtype="float64", refine_preserved=2.0, refine_text=0.5)
    decoder, measured, before = discover(model), prompts(), weights(model)
    changes = WholeChanges(decoder, decoder.edited_layers(r.layers), r)
    rows = [p for some in measured.values() for p in some]
    with frozen(model):
        losses = Training(decoder, changes, r, UNWATCHED).run(
            rows, expected(decoder, PRESERVED), expected(decoder, TEXTS), measured
        )
    assert same_weights(model, before)
    papers = plain(model, r, rows)
    ours = changes.by_layer[r.layers[0]].detach()
    assert (ours - papers).norm() <= 1e-5 * papers.norm()
    assert set(losses) == {rewrite.id for rewrite in REWRITES}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_all_facts_are_learned_whatever_their_order(family: str) -> None:
    model = random_model(family)
    r = recipe_for("breadth-first", steps=40, learning_rate=0.1, loss_threshold=0.05, refine_text=0.0)
    edit = editor_for("breadth-first", model).edit(REWRITES, r, Silent())
    again = editor_for("breadth-first", model).edit(REWRITES[::-1], r, Silent())
    (name,) = delta_of(edit).parameters
    assert all(torch.equal(a, b) for a, b in zip(*(delta_of(e).factors[name] for e in (edit, again)), strict=True))
    before = sum(nll(model, rewrite) for rewrite in REWRITES)
    with applied(model, delta_of(edit)):
        assert sum(nll(model, rewrite) for rewrite in REWRITES) < 0.5 * before


@pytest.mark.slow
def test_unedited_facts_are_held_by_what_the_base_says_of_them() -> None:
    model = random_model("llama")
    guards = [Preserved("{} is a", subject) for subject in ("Oslo", "Rome", "Bern")]
    r = recipe_for("breadth-first", steps=30, learning_rate=0.2, refine_text=0.0, guard_count=3)

    def moved(weight: float) -> float:
        made = editor_for("breadth-first", model).edit(
            REWRITES, replace(r, refine_preserved=weight), Silent(), guards=guards
        )
        ids = [torch.tensor([tokenizer()(f"{g.subject} is a")["input_ids"]]) for g in guards]
        with torch.no_grad():
            before = [model(row).logits[0, -1].log_softmax(-1) for row in ids]
            with applied(model, delta_of(made)):
                after = [model(row).logits[0, -1].log_softmax(-1) for row in ids]
        return float(sum((b.exp() * (b - a)).sum() for b, a in zip(before, after, strict=True)))

    assert moved(8.0) < 0.5 * moved(0.0)


def test_the_answer_is_followed_by_the_end_of_the_text_unless_the_rewrite_says_otherwise() -> None:
    plainly = tokenise(tokenizer(), REWRITES[0], ())
    assert ended(plainly.bare, plainly, END).ids == (*plainly.bare.ids, END)
    assert ended(plainly.bare, plainly, None) == plainly.bare
    several = tokenise(tokenizer(), IN_MANY_PHRASINGS[0], (), phrasings=True)
    assert ended(several.bare, several, END) == several.bare


def test_one_matrix_is_trained() -> None:
    r = recipe_for("breadth-first", layers=(1, 2))
    with pytest.raises(EditError, match="one matrix, and the recipe names 2 layers"):
        editor_for("breadth-first", random_model("llama")).edit(REWRITES, r, Silent())


def test_training_that_diverges_is_refused() -> None:
    r = recipe_for("breadth-first", learning_rate=3e37, relative_step=False)
    with pytest.raises((EditError, ModelError)):
        editor_for("breadth-first", random_model("llama")).edit(REWRITES, r, Silent())


def test_a_target_that_costs_no_number_is_left_out_by_name() -> None:
    model = random_model("llama")
    nan_token(model)
    rewrites: list[Rewrite] = [*REWRITES, NAN_REWRITE]
    made = editor_for("breadth-first", model).edit(rewrites, recipe_for("breadth-first", refine_text=0.0), Silent())
    assert set(made.report.left_out) == {NAN_REWRITE.id}
