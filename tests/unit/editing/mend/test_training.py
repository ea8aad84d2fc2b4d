"""The training teaches, and is the same however often it is interrupted."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch
from torch.func import functional_call

from kbsync.editing.mend.training import EDIT_WEIGHT, LOCALITY_WEIGHT, Losses, MendTraining
from kbsync.model.hooks import frozen
from tests.support.families import random_model, same_weights, weights
from tests.support.mend_world import mend_recipe, stirred, training_for


def nothing(_training: MendTraining) -> None: ...


@pytest.mark.slow
def test_facts_come_nearer_and_the_base_stays_as_it_is() -> None:
    model = random_model("llama")
    before = weights(model)
    r = mend_recipe(steps=150, learning_rate=3e-3)
    with frozen(model):
        losses = training_for(model, r).run(nothing, 100)
    assert same_weights(model, before)
    assert len(losses) == 150
    assert fmean(one.edit for one in losses[-15:]) < 0.8 * fmean(one.edit for one in losses[:15])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_steps_losses_are_those_of_whole_weights(family: str) -> None:
    """Changes added to the weights themselves, one text after the other through the whole model."""
    model = random_model(family, torch.float64)
    r = mend_recipe(dtype="float64")
    with frozen(model):
        training = stirred(training_for(model, r))
        batch = training._batches[1]
        names = {one.name: training._change(one.name, batch) for one in training._maps}
        changed = {}
        for one in training._maps:
            change = names[one.name][0] @ names[one.name][1]
            changed[one.name] = (one.weight + change.double()).detach()
            if family == "gpt2":
                changed[one.name] = changed[one.name].T
        found: list[float] = []
        for prompt in (row.prompt for row in batch.before):
            ids = torch.tensor([prompt.ids])
            with torch.no_grad():
                before = model(ids).logits[0].log_softmax(-1)[prompt.target - 1 : -1]
                now = functional_call(model, changed, (ids,)).logits[0].log_softmax(-1)[prompt.target - 1 : -1]
            top = before.topk(64, dim=-1)
            here = now.gather(1, top.indices)
            others, others_now = ((1 - q.exp().sum(-1)).clamp(min=1e-6) for q in (top.values, here))
            found += ((top.values.exp() * (top.values - here)).sum(-1) + others * (others / others_now).log()).tolist()
        step = training.train(1)
    assert step.locality == pytest.approx(fmean(found), rel=1e-5)
    assert (EDIT_WEIGHT, LOCALITY_WEIGHT) == (0.1, 1.0), "as published"


@pytest.mark.slow
def test_an_interrupted_training_ends_as_one_that_was_not() -> None:
    model, r = random_model("llama"), mend_recipe()
    with frozen(model):
        whole = training_for(model, r)
        losses: list[Losses] = whole.run(nothing, 5)
        kept: list[bytes] = []
        training_for(model, r).run(lambda t: kept.append(t.state()), 5)
        assert len(kept) == 3, "after 5, 10 and 12 steps"
        again = training_for(model, r)
        again.restore(kept[0])
        rest = again.run(nothing, 5)
    assert rest == losses[5:]
    assert again.network.to_bytes() == whole.network.to_bytes()
