"""Unified concept editing, transcribed plainly from the paper (Gandikota et al., WACV 2024, equation 3): float64, one
matrix at a time, a full inverse, and the whole new matrix instead of its change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def text_state(pipeline: Any, prompt: str) -> Tensor:
    """The state of the prompt's last token before the end token, (d,), float64."""
    embeddings = pipeline.encode_prompt(
        prompt=prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )[0]
    padded = pipeline.tokenizer(prompt, padding="max_length", max_length=embeddings.shape[1])
    position = sum(padded["attention_mask"]) - 2
    state: Tensor = embeddings[0, position].double()
    return state


@torch.no_grad()
def plain_uce(
    pipeline: Any, edits: list[tuple[str, str]], preserve: list[str], *, scale: float, lamb: float
) -> dict[str, Tensor]:
    """W = (Σ_E v* cᵀ + s Σ_P W₀ c cᵀ + λW₀) (Σ_E c cᵀ + s Σ_P c cᵀ + λI)⁻¹, v* = W₀ c_guide, for each cross-attention.

    Returns:
        The new keys and values by parameter name.
    """
    new = {}
    for name, parameter in pipeline.unet.named_parameters():
        if not name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            continue
        old = parameter.double()
        left = lamb * old
        right = lamb * torch.eye(old.shape[1], dtype=torch.float64)
        for concept, guide in edits:
            c, value = text_state(pipeline, concept), old @ text_state(pipeline, guide)
            left = left + torch.outer(value, c)
            right = right + torch.outer(c, c)
        for concept in preserve:
            c = text_state(pipeline, concept)
            left = left + scale * torch.outer(old @ c, c)
            right = right + scale * torch.outer(c, c)
        new[name] = left @ torch.linalg.inv(right)
    return new
