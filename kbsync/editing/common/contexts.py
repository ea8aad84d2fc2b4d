"""Contexts: texts that stand before a prompt, so that keys and target vectors don't depend on the bare prompt alone."""

from __future__ import annotations

import json

import torch
from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.common.sampling import sample, seeded
from kbsync.model.decoder import Decoder
from kbsync.ports import ArtifactStore

OPENINGS = ("The", "Therefore", "Because", "I", "You")
"""First words of sampled contexts (MEMIT, public code)."""
TOP_K = 5
"""Sampled contexts are drawn from this many likeliest tokens (MEMIT, public code)."""
KIND = "contexts"


def contexts(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, base: str, artifacts: ArtifactStore
) -> tuple[str, ...]:
    """The recipe's own contexts, or ``context_count`` sampled ones, which the artifact store keeps.

    Args:
        base: The model's fingerprint.

    Returns:
        Texts with one ``{}`` each for the prompt; the bare prompt is not among them.

    Raises:
        EditError: One of the recipe's contexts has not exactly one ``{}``.
    """
    if recipe.contexts:
        wrong = [c for c in recipe.contexts if c.count("{}") != 1]
        if wrong:
            raise EditError(
                f"The context {wrong[0]!r} has not exactly one place for the prompt.",
                next_step="Give each of the recipe's contexts one {}.",
            )
        return recipe.contexts
    inputs = [base, OPENINGS, TOP_K, recipe.context_count, recipe.context_tokens, recipe.seed, recipe.dtype]
    key = content_hash([KIND, 1, *inputs])
    stored = artifacts.get(KIND, key)
    if stored is not None:
        return tuple(json.loads(stored))
    sampled = _sampled(decoder, tokenizer, recipe)
    artifacts.put(KIND, key, canonical_json(sampled).encode())
    return sampled


def _sampled(decoder: Decoder, tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> tuple[str, ...]:
    generator = seeded(recipe.seed)
    sampled = []
    for i in range(recipe.context_count):
        prompt = torch.tensor([tokenizer(OPENINGS[i % len(OPENINGS)])["input_ids"]], device=decoder.model.device)
        row = sample(decoder, prompt, recipe.context_tokens, TOP_K, generator)[0]
        text = str(tokenizer.decode(row, skip_special_tokens=True))
        sampled.append(text.replace("{", " ").replace("}", " ").strip() + ". {}")
    return tuple(sampled)
