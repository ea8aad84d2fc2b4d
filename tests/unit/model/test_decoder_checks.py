from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import discover
from kbsync.model.decoder_checks import require_attention, require_plain_sum
from tests.support.families import FAMILIES, D, random_model


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_of_attention_keeps_keys_and_values(family: str) -> None:
    model = random_model(family)
    require_attention(model, len(discover(model).layers), torch.tensor([[1, 2, 3, 4]]))


@pytest.mark.parametrize("factor", [1.0, 0.5, 1.02])
def test_a_block_that_scales_its_mlp_is_seen(factor: float) -> None:
    layer = discover(random_model("llama")).layers[0]
    stream = torch.randn(1, 3, D, generator=torch.Generator().manual_seed(1))

    class Block(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden + factor * layer.mlp(hidden)

    block, last = Block(), layer.down.module
    if factor == 1.0:
        require_plain_sum("Layer 0", block, last, (stream,), {}, block(stream))
        return
    with pytest.raises(ModelError, match=f"multiplied by {factor}"):
        require_plain_sum("Layer 0", block, last, (stream,), {}, block(stream))
    assert not last._forward_hooks
