"""Contexts: what stands before a prompt, so that a target vector and a key don't hang on the bare prompt alone."""

from __future__ import annotations

import json

import torch
from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.sample import sample, seeded
from kbsync.model.decoder import Decoder
from kbsync.ports import ArtifactStore

OPENINGS = ("The", "Therefore", "Because", "I", "You")
"""First words of sampled contexts (MEMIT, public code)."""
TOP_K = 5


def contexts(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, base: str, artifacts: ArtifactStore
) -> tuple[str, ...]:
    """The recipe's own contexts, or ``context_count`` sampled ones, kept in the artifact store.

    Each holds one ``{}`` for the prompt. Raises ``EditError`` for a given context that does not.
    """
    if recipe.contexts:
        wrong = [c for c in recipe.contexts if c.count("{}") != 1]
        if wrong:
            raise EditError(
                f"The context {wrong[0]!r} has not exactly one place for the prompt.",
                next_step="Give each of the recipe's contexts one {}.",
            )
        return recipe.contexts
    shape = [base, OPENINGS, TOP_K, recipe.context_count, recipe.context_tokens, recipe.seed, recipe.dtype]
    key = content_hash(["contexts", 1, *shape])
    kept = artifacts.get("contexts", key)
    if kept is not None:
        return tuple(json.loads(kept))
    made = _sampled(decoder, tokenizer, recipe)
    artifacts.put("contexts", key, canonical_json(made).encode())
    return made


def _sampled(decoder: Decoder, tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> tuple[str, ...]:
    generator = seeded(recipe.seed)
    made = []
    for i in range(recipe.context_count):
        prompt = torch.tensor([tokenizer(OPENINGS[i % len(OPENINGS)])["input_ids"]], device=decoder.model.device)
        row = sample(decoder, prompt, recipe.context_tokens, TOP_K, generator)[0]
        text = str(tokenizer.decode(row, skip_special_tokens=True))
        made.append(text.replace("{", " ").replace("}", " ").strip() + ". {}")
    return tuple(made)
