from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import discover
from kbsync.model.decoder_checks import adds_plainly, keeps_keys
from tests.support.families import FAMILIES, HYBRIDS, OTHERS, D, random_model


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_layers_of_attention_keep_keys_and_values_and_others_do_not(family: str) -> None:
    model = random_model(family)
    assert keeps_keys(model, len(discover(model).layers), torch.tensor([[1, 2, 3, 4]])) == (family not in HYBRIDS)


@pytest.mark.parametrize("factor", [1.0, 0.5, 1.02])
def test_a_block_that_scales_its_mlp_is_seen(factor: float) -> None:
    layer = discover(random_model("llama")).layers[0]
    stream = torch.randn(1, 3, D, generator=torch.Generator().manual_seed(1))

    class Block(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden + factor * layer.mlp(hidden)

    block, last = Block(), layer.down.module
    assert adds_plainly("Layer 0", block, last, (stream,), {}, block(stream)) == (factor == 1.0)
    assert not last._forward_hooks


def test_a_block_that_drops_its_mlp_is_refused() -> None:
    layer = discover(random_model("llama")).layers[0]
    stream = torch.randn(1, 3, D, generator=torch.Generator().manual_seed(1))

    class Block(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden + layer.mlp(hidden) * torch.tensor([1.0, 0.0, 1.0])[:, None]

    with pytest.raises(ModelError, match="Layer 0 takes in nothing"):
        adds_plainly("Layer 0", Block(), layer.down.module, (stream,), {}, Block()(stream))
