"""Small text-to-image pipelines with random weights, of the kinds of Stable Diffusion and SDXL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.domain.version import EditReport
from kbsync.editing.images.editor import ConceptEditor
from kbsync.editing.images.pipeline import TextToImage
from kbsync.model.delta import FactorDelta
from kbsync.ports import UNWATCHED

WORDS = (
    "the",
    "a",
    "flag",
    "lamp",
    "of",
    "and",
    "red",
    "blue",
    "green",
    "white",
    "kelia",
    "dunmark",
    "norland",
    "zania",
)
LENGTH = 12
"""Tokens of a padded prompt."""


def clip_tokenizer(words: Sequence[str], length: int = LENGTH) -> CLIPTokenizer:
    """A tokenizer of CLIP's kind that knows the letters and, as far as the merges before allow it, the words."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary: dict[str, int] = {}
    for token in (*letters, *(letter + "</w>" for letter in letters)):
        vocabulary[token] = len(vocabulary)
    merges: list[tuple[str, str]] = []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        joined = parts[0]
        for part in parts[1:]:
            if (joined, part) not in merges:
                merges.append((joined, part))
            joined += part
            vocabulary.setdefault(joined, len(vocabulary))
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[token] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def text_encoder(tokenizer: Any, width: int, *, projected: bool = False, layers: int = 2) -> Any:
    """A text encoder for the tokenizer, with random weights."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        projection_dim=width,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def autoencoder(width: int = 8, levels: int = 2) -> AutoencoderKL:
    """Halves height and width at each level but the last."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[width] * levels,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=16,
    )


def unet(text_width: int, channels: tuple[int, int] = (16, 32), side: int = 8, **more: Any) -> UNet2DConditionModel:
    """Two levels; the upper one and the middle have cross-attention."""
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=8,
        **more,
    )


def scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def stable_diffusion(seed: int = 0) -> Any:
    """One text encoder, whose states the cross-attention reads."""
    torch.manual_seed(seed)
    tokenizer = clip_tokenizer(WORDS)
    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(tokenizer, 32),
        tokenizer=tokenizer,
        unet=unet(32),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(seed: int = 0) -> Any:
    """Two text encoders, whose states stand side by side; the pooled state of the second goes another way."""
    torch.manual_seed(seed)
    tokenizer = clip_tokenizer(WORDS)
    return StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(tokenizer, 32, layers=3),
        text_encoder_2=text_encoder(tokenizer, 16, projected=True, layers=3),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet(
            48,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=16 + 6 * 8,
        ),
        scheduler=scheduler(),
    )


def edited(
    image: TextToImage, rewrites: Sequence[Rewrite], recipe: Recipe, guards: Sequence[Preserved] = ()
) -> tuple[FactorDelta, EditReport]:
    """The change that the concept editor makes, and its report."""
    edit = ConceptEditor(image).edit(rewrites, recipe, UNWATCHED, guards=guards)
    assert isinstance(edit.delta, FactorDelta)
    return edit.delta, edit.report


KINDS = {"sd": stable_diffusion, "sdxl": sdxl}
