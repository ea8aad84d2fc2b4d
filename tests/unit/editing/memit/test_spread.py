"""Each edited layer takes its share of what is missing, on the copy that holds the layers below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.editing.common.cholesky import factorise
from kbsync.editing.common.edited_weights import edited_weights
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise
from kbsync.editing.memit.columns import mean_columns
from kbsync.editing.memit.insertion import Insertion, insertion_for
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.preserved import PreservedKeys
from kbsync.editing.memit.solve import Penalty
from kbsync.editing.memit.spread import LayerEdits, spread
from kbsync.editing.memit.target_pool import Target
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.families import REWRITES, M, Silent, random_model, recipe, same_weights, tokenizer, weights


def prepared(family: str) -> tuple[Any, Insertion, list[TokenisedRewrite], dict[str, Target]]:
    model = random_model(family, torch.float64)
    decoder = discover(model)
    insertion = insertion_for(decoder, decoder.edited_layers((1, 2)))
    rewrites = [tokenise(tokenizer(), rewrite, ()) for rewrite in REWRITES]
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        _, init = insertion.prepare([(r.bare.ids[:-1], r.bare.lookup) for r in rewrites])
    shape = (insertion.sites, decoder.hidden_size)
    z = [init[n] + 0.2 * torch.randn(shape, dtype=torch.float64, generator=draw) for n in range(len(rewrites))]
    return model, insertion, rewrites, {r.id: Target(target[None], 0.0) for r, target in zip(rewrites, z, strict=True)}


def run(
    model: Any,
    insertion: Insertion,
    rewrites: Sequence[TokenisedRewrite],
    targets: dict[str, Target],
    *,
    weight: float = 1e-6,
    column_weights: Tensor | None = None,
) -> tuple[LayerEdits, dict[str, Tensor], Silent]:
    """What was done, Δ by parameter, and the work that was shown."""
    decoder, work = insertion.decoder, Silent()
    factor = factorise(torch.eye(M, dtype=torch.float64))
    forward = LayerwiseForward(decoder, insertion.layers, [r.prompts for r in rewrites])
    nothing = PreservedKeys(decoder, insertion.layers, [], recipe())
    with frozen(model), edited_weights(model) as changed:
        edits = spread(
            mean_columns(rewrites, targets),
            insertion,
            forward,
            lambda _: Penalty(factor, weight),
            nothing,
            changed,
            work,
            column_weights,
        )
        deltas = {n: left.double() @ right.double() for n, (left, right) in changed.delta().factors.items()}
    return edits, deltas, work


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_with_hardly_any_penalty_the_targets_are_reached(family: str) -> None:
    model, insertion, rewrites, targets = prepared(family)
    before = weights(model)
    edits, deltas, work = run(model, insertion, rewrites, targets)
    assert same_weights(model, before) and len(deltas) == 2
    assert work.advances == 2
    assert [layer.layer for layer in edits.reports] == [1, 2]
    assert edits.reports[-1].residual_after < 1e-4 * edits.reports[-1].residual_before
    assert [keys.shape for keys in edits.keys] == [(M, 3), (M, 3)]
    assert all(layer.free is None and layer.ridge == 0 for layer in edits.reports)


def test_a_fact_of_more_weight_comes_closer_to_its_target() -> None:
    model, insertion, rewrites, targets = prepared("llama")
    factor = torch.tensor([1.0, 1.0, 100.0], dtype=torch.float64)
    plain, heavy = (run(model, insertion, rewrites, targets, weight=10.0, column_weights=w)[1] for w in (None, factor))
    key = run(model, insertion, rewrites, targets)[0].keys[0][:, 2]
    name = next(iter(plain))
    _, _, residual = insertion.residual(
        torch.stack([targets[r.id].z[0] for r in rewrites]),
        LayerwiseForward(insertion.decoder, insertion.layers, [r.prompts for r in rewrites]),
    )
    wanted = residual[2]
    assert (heavy[name] @ key - wanted).norm() < 0.5 * (plain[name] @ key - wanted).norm()


def test_weights_of_one_are_no_weights() -> None:
    model, insertion, rewrites, targets = prepared("llama")
    ones = torch.ones(3, dtype=torch.float64)
    plain, weighted = (run(model, insertion, rewrites, targets, weight=1.0, column_weights=w)[1] for w in (None, ones))
    assert all(torch.equal(plain[name], weighted[name]) for name in plain)
