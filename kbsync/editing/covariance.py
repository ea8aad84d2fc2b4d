"""Key covariance: C = E[k kᵀ] over ordinary text, the weight that an edit gives to all that it must not touch.

Source: MEMIT, section 4.2 and appendix B. One pass serves all layers and stops at the last; sums are float64.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.sample import CORPUS_LENGTH, CORPUS_TOP_K, opening, sampled_corpus
from kbsync.model.decoder import Decoder
from kbsync.model.hooks import trace
from kbsync.model.text import texts_hash
from kbsync.ports import ArtifactStore, Progress

WINDOW = 256
"""Tokens of a stretch of text, what the tokenizer puts in front included."""
BATCH_TOKENS = 4096
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Covariances:
    """``matrices``: C by layer, (m, m) float64. ``fingerprint``: hash of their stored bytes."""

    matrices: dict[int, Tensor]
    fingerprint: str


def covariances(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    recipe: Recipe,
    base: str,
    artifacts: ArtifactStore,
    progress: Progress,
) -> Covariances:
    """C of each layer of the recipe, from the artifact store or computed; text is sampled where ``texts`` is empty.

    Raises ``EditError`` when the text gives fewer than two tokens or a key is not finite.
    """
    keys = {layer: _key(layer, texts, recipe, base) for layer in recipe.layers}
    blobs = {layer: artifacts.get("covariance", key) for layer, key in keys.items()}
    missing = [layer for layer, blob in blobs.items() if blob is None]
    if missing:
        for layer, matrix in _measure(decoder, tokenizer, texts, recipe, missing, progress).items():
            blob = save({"second_moment": matrix})
            artifacts.put("covariance", keys[layer], blob)
            blobs[layer] = blob
    found = {layer: blob for layer, blob in sorted(blobs.items()) if blob is not None}
    matrices = {layer: load(blob)["second_moment"] for layer, blob in found.items()}
    prints = [[layer, hashlib.sha256(blob).hexdigest()] for layer, blob in found.items()]
    return Covariances(matrices, content_hash(prints))


def _key(layer: int, texts: Sequence[str], recipe: Recipe, base: str) -> str:
    source = texts_hash(texts) if texts else ["sampled", CORPUS_LENGTH, CORPUS_TOP_K]
    settings = [recipe.covariance_tokens, recipe.seed, recipe.dtype, WINDOW]
    return content_hash(["covariance", FORMAT, base, layer, source, settings])


def _measure(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    recipe: Recipe,
    layers: Sequence[int],
    progress: Progress,
) -> dict[int, Tensor]:
    skipped = len(opening(tokenizer))
    sums: dict[int, Tensor] = {}
    counted = 0
    progress.start("covariance", recipe.covariance_tokens)
    for rows in _stretches(decoder, tokenizer, texts, recipe):
        tokens, valid = _padded(rows, skipped)
        with torch.no_grad():
            seen = trace(decoder, {"input_ids": tokens.to(decoder.model.device), "use_cache": False}, keys=layers)
        for layer in layers:
            chosen = seen.keys[layer][valid.to(seen.keys[layer].device)].cpu()
            chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32))
            part = (chosen.T @ chosen).double()
            if not torch.isfinite(part).all():
                raise EditError(
                    f"A key of layer {layer} is not finite, so no covariance exists.",
                    next_step="Load the model in float32.",
                )
            sums[layer] = sums[layer].add_(part) if layer in sums else part
        counted += int(valid.sum())
        progress.advance(int(valid.sum()))
    progress.finish(f"{counted} tokens")
    if counted < 2:
        raise EditError("The covariance text holds no tokens.", next_step="Name a corpus with text in it.")
    return {layer: (total + total.T) / (2 * counted) for layer, total in sums.items()}


def _stretches(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], recipe: Recipe
) -> Iterator[list[list[int]]]:
    """Batches of token rows until the budget is met; given texts in a seeded order, so that a budget samples them all."""
    if not texts:
        yield from sampled_corpus(decoder, tokenizer, recipe.covariance_tokens, recipe.seed)
        return
    order = list(range(len(texts)))
    random.Random(recipe.seed).shuffle(order)
    front = opening(tokenizer)
    step = WINDOW - len(front)
    rows: list[list[int]] = []
    left = recipe.covariance_tokens
    for index in order:
        ids = tokenizer(texts[index], add_special_tokens=False)["input_ids"]
        for begin in range(0, len(ids), step):
            piece = ids[begin : begin + min(step, left)]
            rows.append(front + piece)
            left -= len(piece)
            if left <= 0:
                break
        if left <= 0:
            break
    rows.sort(key=len)
    batch: list[list[int]] = []
    for row in rows:
        if batch and (len(batch) + 1) * len(row) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _padded(rows: list[list[int]], skipped: int) -> tuple[Tensor, Tensor]:
    """Rows padded on the right (nothing before the padding sees it), and which positions count."""
    width = max(map(len, rows))
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    valid = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        valid[i, skipped : len(row)] = True
    return tokens, valid
