"""A change as a PEFT adapter: exact at full rank, the best approximation below; PEFT loads it and computes the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from kbsync.domain.errors import EditError
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.peft_adapter import peft_adapter, relative_loss, truncated
from tests.support.families import random_model

IDS = torch.tensor([[0, 5, 9, 40, 7]])


def change(family: str, rank: int, draw: torch.Generator) -> FactorDelta:
    """A random change of rank ``rank`` of two layers of the family's model."""
    factors = {}
    for layer in discover(random_model(family)).edited_layers((1, 2)):
        out, width = layer.down.weight.shape
        left, right = torch.randn(out, rank, generator=draw), torch.randn(rank, width, generator=draw)
        factors[layer.down.name] = (left / out, right)
    return FactorDelta(factors)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_peft_computes_with_the_adapter_what_the_change_computes(family: str, tmp_path: Path) -> None:
    model = random_model(family)
    delta = change(family, 3, torch.Generator().manual_seed(1))
    with torch.no_grad(), applied(model, delta):
        expected = model(IDS).logits
    adapter = peft_adapter(model, delta, "some/base")
    adapter.write(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == "some/base"
    assert [(m.rank, m.full_rank, m.relative_loss) for m in adapter.matrices] == [(3, 3, 0.0), (3, 3, 0.0)]
    with torch.no_grad():
        unedited = model(IDS).logits
        loaded = PeftModel.from_pretrained(random_model(family), str(tmp_path)).eval()
        torch.testing.assert_close(loaded(IDS).logits, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, unedited, atol=1e-3)


def test_a_lower_rank_loses_what_eckart_and_young_say() -> None:
    delta = change("llama", 3, torch.Generator().manual_seed(2))
    (first, _) = peft_adapter(random_model("llama"), delta, "base", rank=1).matrices
    left, right = delta.factors[first.parameter]
    singular = torch.linalg.svdvals(left.double() @ right.double())
    best = float(singular[1:].norm() / singular.norm())
    assert first.rank == 1 and 0 < best == pytest.approx(first.relative_loss, rel=1e-4)


def test_truncation_of_nothing_loses_nothing() -> None:
    left, right = torch.zeros(4, 3), torch.zeros(3, 5)
    outer, inner = truncated(left, right, 1)
    assert (outer.shape, inner.shape) == ((4, 1), (1, 5))
    assert relative_loss(left, right, outer, inner) == 0.0


def test_a_change_of_another_model_is_refused() -> None:
    other = FactorDelta({"model.layers.9.mlp.down_proj.weight": (torch.zeros(4, 1), torch.zeros(1, 4))})
    with pytest.raises(EditError, match=r"no module model\.layers\.9"):
        peft_adapter(random_model("llama"), other, "base")
