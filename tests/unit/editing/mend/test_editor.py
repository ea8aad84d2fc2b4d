"""MEND's edit is that of the paper, and needs a trained network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.distributions import target_nll
from kbsync.editing.mend.editor import KIND, network_key
from kbsync.editing.mend.network import MendNetwork
from kbsync.editing.mend.training import MendTraining
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.editing_world import NAN_REWRITE, delta_of, editor_for, nan_token, same_factors
from tests.support.families import REWRITES, MemoryArtifacts, Silent, random_model, same_weights, weights
from tests.support.mend_world import examples, mend_recipe, stirred, training_for


def prepared(model: object, r: Recipe) -> tuple[MemoryArtifacts, MendTraining]:
    with frozen(model):  # type: ignore[arg-type]
        training = stirred(training_for(model, r))
    artifacts = MemoryArtifacts()
    artifacts.put(KIND, network_key("base", r), training.network.to_bytes())
    return artifacts, training


def plain_change(network: MendNetwork, name: str, u: Tensor, delta: Tensor) -> Tensor:
    """Equation 5 for one token, entry by entry."""
    state = {k: v.double() for k, v in network.state_dict().items()}
    number = network._names[name]
    shape = f"{delta.shape[0]}x{u.shape[0]}"
    z = (torch.cat([u, delta]) - state[f"mean_{number}"]) / (state[f"deviation_{number}"] + 1e-7)
    own = {k: state[f"own.{number}.{k}"] for k in ("s1", "o1", "s2", "o2", "alpha")}
    shared = {k: state[f"shared.{shape}.{k}"] for k in ("u1", "v1", "u2", "v2", "b")}
    hidden = [sum(shared["v1"][k, j] * z[j] for j in range(len(z))) for k in range(len(shared["v1"]))]
    h = torch.stack(
        [
            z[i]
            + torch.relu(
                own["s1"][i] * (sum(shared["u1"][i, k] * hidden[k] for k in range(len(hidden))) + shared["b"][i])
                + own["o1"][i]
            )
            for i in range(len(z))
        ]
    )
    g = h + torch.relu(own["s2"] * (shared["u2"] @ (shared["v2"] @ h)) + own["o2"])
    change: Tensor = -own["alpha"] * torch.outer(g[len(u) :], g[: len(u)])
    return change


def inputs_and_gradient(model: Any, module: nn.Module, prompt: Prompt) -> tuple[Tensor, Tensor]:
    """What enters the map at each token, and the gradient of the prompt's NLL by what leaves it."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        seen.extend((args[0], output))

    decoder = discover(model)
    handle = module.register_forward_hook(hook)
    target_nll(decoder, [prompt]).mean.sum().backward()  # type: ignore[no-untyped-call]
    handle.remove()
    inputs, output = seen[-2:]
    assert output.grad is not None
    return inputs[0].detach(), output.grad[0]


@pytest.mark.slow
def test_an_edit_is_the_papers() -> None:
    model, r = random_model("llama", torch.float64), mend_recipe(dtype="float64")
    artifacts, training = prepared(model, r)
    before = weights(model)
    edit = editor_for("mend", model, artifacts).edit(REWRITES[:2], r, Silent())
    assert same_weights(model, before)
    delta = delta_of(edit)
    for one in training._maps:
        wanted = torch.zeros(one.weight.shape, dtype=torch.float64)
        for example in examples()[:2]:
            u, d = inputs_and_gradient(model, one.module, example.edit)
            wanted += sum(plain_change(training.network, one.name, u[n], d[n]) for n in range(len(u)) if d[n].any())
        left, right = delta.factors[one.name]
        made = left.double() @ right.double()
        assert wanted.norm() > 0 and (made - wanted).norm() <= 1e-5 * wanted.norm()


def test_order_does_not_matter_and_one_bad_fact_is_left_out() -> None:
    model, r = random_model("llama"), mend_recipe()
    artifacts, _ = prepared(model, r)
    one, two = (editor_for("mend", model, artifacts).edit(some, r, Silent()) for some in (REWRITES, REWRITES[::-1]))
    assert same_factors(one, two) and one.targets == {} and one.covariance_fingerprint == ""
    assert all(layer.delta_ratio > 0 for layer in one.report.layers)
    nan_token(model)
    made = editor_for("mend", model, artifacts).edit([*REWRITES, NAN_REWRITE], r, Silent())
    assert set(made.report.left_out) == {NAN_REWRITE.id}


def test_without_a_trained_network_nothing_is_written() -> None:
    with pytest.raises(EditError, match="No network was trained for this model by the recipe") as caught:
        editor_for("mend", random_model("llama")).edit(REWRITES, mend_recipe(), Silent())
    assert "kbsync bench mend" in str(caught.value.next_step)
