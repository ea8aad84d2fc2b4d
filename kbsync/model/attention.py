"""Attention where several query heads share one key head (grouped-query attention), without copies of the keys.

Where there is a mask, transformers repeats keys and values for every query head before the product. Here all query
heads of a group are treated as more queries of their one key head, which is the same computation. The search for target
vectors runs short suffixes behind long prefixes, so these copies took most of the memory of its autograd graph.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GROUPED = "kbsync_grouped"
"""The name of this attention in a model's configuration."""


def group_queries(model: PreTrainedModel) -> None:
    """Make ``model`` use ``grouped``, if it uses torch's attention and has fewer key heads than query heads."""
    config = model.config.get_text_config()
    heads, key_heads = (getattr(config, f"num_{kind}_heads", None) for kind in ("attention", "key_value"))
    shared = isinstance(heads, int) and isinstance(key_heads, int) and 0 < key_heads < heads
    if shared and model.config._attn_implementation == "sdpa":
        AttentionInterface.register(GROUPED, grouped)
        AttentionMaskInterface.register(GROUPED, sdpa_mask)
        model.set_attn_implementation(GROUPED)


def grouped(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention, with the arguments that transformers gives.

    Without a mask of the shape below, or with more than a mask and a scale to apply, transformers' own function is
    called.

    Args:
        query: (batch, heads, length, width).
        key: (batch, fewer heads, places, width).
        value: (batch, fewer heads, places, width).
        attention_mask: (batch or 1, 1, length, places), boolean or added to the scores.
        scaling: The factor of the scores; None for 1 / √width.
        rest: What else transformers passes, by name.

    Returns:
        The mixed values (batch, length, heads, width); no attention weights.
    """
    more = any(rest.get(name) is not None for name in ("position_bias", "softcap", "cache"))
    if more or attention_mask is None or attention_mask.shape[1] != 1:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    batch, heads, length, width = query.shape
    size = heads // key.shape[1]
    together = query.reshape(batch, key.shape[1], size * length, width)
    mask = attention_mask.repeat(1, 1, size, 1)
    mixed = scaled_dot_product_attention(together, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling)
    return mixed.reshape(batch, heads, length, -1).transpose(1, 2).contiguous(), None
