"""Key covariance: C = E[k kᵀ] over ordinary text, the weight that an edit gives to all that it must not touch.

Source: MEMIT, section 4.2 and appendix B. Stored under the fingerprint of model, text and settings; each file also says
what it was measured on, so that one that was moved or damaged is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.editing.common.sampling import opening_ids
from kbsync.editing.covariance.corpus import WINDOW, corpus, identity
from kbsync.editing.covariance.second_moments import SecondMoments, Snapshots, measure
from kbsync.model.decoder import Decoder
from kbsync.ports import ArtifactStore, Executor, Work

FORMAT = 2
"""Of what is stored; part of each key."""
KIND = "covariance"
SUMS_BYTES = 4 * 2**30
"""The most that the sums of layers that are measured together may take (float64). A snapshot takes as much again."""


class StoredMatrices(Mapping[int, Tensor]):
    """C (m, m), float64, by layer. Each is read from the artifact store when it is asked for: together they may be as
    large as the model, and the target search does not need them."""

    def __init__(self, artifacts: ArtifactStore, inputs: Mapping[int, dict[str, Any]]) -> None:
        """``inputs``: all that each layer's covariance depends on."""
        self._artifacts, self._inputs = artifacts, dict(sorted(inputs.items()))

    def __getitem__(self, layer: int) -> Tensor:
        """Raises ``EditError`` where it is gone or unsound."""
        tensors = self._stored(layer)[0]
        if tensors is None:
            raise _unsound(f"of layer {layer} is gone")
        return tensors["second_moment"]

    def __iter__(self) -> Iterator[int]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def summary(self, layer: int) -> tuple[int, str] | None:
        """Number of keys and SHA-256 of what is stored of a layer; None where nothing is. Raises ``EditError`` where it
        is unsound."""
        tensors, digest = self._stored(layer)
        return None if tensors is None else (int(tensors["tokens"]), digest)

    def _stored(self, layer: int) -> tuple[dict[str, Tensor] | None, str]:
        blob = self._artifacts.get(KIND, _key(self._inputs[layer]))
        if blob is None:
            return None, ""
        return _read(blob, layer, self._inputs[layer]), hashlib.sha256(blob).hexdigest()


@dataclass(frozen=True, slots=True)
class Covariances:
    """C of each edited layer."""

    matrices: StoredMatrices
    fingerprint: str
    """Hash of the stored bytes of all of them."""
    digests: dict[int, str]
    """SHA-256 of what is stored of each, by layer."""
    tokens: dict[int, int]
    """Keys that each was measured on, by layer."""
    known: tuple[int, ...]
    """Layers that were stored before."""


def covariances(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    recipe: Recipe,
    base: str,
    artifacts: ArtifactStore,
    work: Work,
    executor: Executor | None = None,
) -> Covariances:
    """C of each layer of the recipe, from the artifact store or measured.

    A measurement that was killed goes on from its last snapshot.

    Args:
        texts: Ordinary text; empty: text that the model samples.
        base: The model's fingerprint.
        executor: Measures given text, on the same base; None: this process does. Text that the model samples is drawn
            here, batch by batch from one generator, which takes longer than its keys: they are measured here, too.

    Raises:
        EditError: The text gives fewer than two tokens, a key is not finite, or what is stored is not finite or was
            measured on something else.
        ModelError: The model does not have one of the layers.
    """
    decoder.edited_layers(recipe.layers)
    inputs = {layer: _inputs(layer, texts, recipe, base) for layer in recipe.layers}
    keys = {layer: _key(of_layer) for layer, of_layer in inputs.items()}
    matrices = StoredMatrices(artifacts, inputs)
    summaries = {layer: matrices.summary(layer) for layer in matrices}
    missing = [layer for layer in recipe.layers if summaries[layer] is None]
    for some in _together(decoder, missing):
        sums = _measure(decoder, tokenizer, texts, recipe, some, [keys[i] for i in some], artifacts, work, executor)
        for layer in some:
            # One matrix may be a third of the model: none is held twice, nor longer than it is needed.
            artifacts.put(KIND, keys[layer], _stored_form(sums.by_layer.pop(layer), sums.count, inputs[layer]))
            summaries[layer] = matrices.summary(layer)
        Snapshots(artifacts, content_hash([keys[i] for i in some])).drop()
    stored = {layer: summary for layer, summary in summaries.items() if summary is not None}
    return Covariances(
        matrices,
        content_hash([[layer, digest] for layer, (_, digest) in stored.items()]),
        {layer: digest for layer, (_, digest) in stored.items()},
        {layer: tokens for layer, (tokens, _) in stored.items()},
        tuple(layer for layer in stored if layer not in missing),
    )


def known_layers(texts: Sequence[str], recipe: Recipe, base: str, artifacts: ArtifactStore) -> list[int]:
    """The recipe's layers whose covariance is stored."""
    return [i for i in recipe.layers if artifacts.get(KIND, _key(_inputs(i, texts, recipe, base))) is not None]


def forget(texts: Sequence[str], recipe: Recipe, base: str, artifacts: ArtifactStore) -> None:
    """Drop the recipe's covariances, so that they are measured again."""
    for layer in recipe.layers:
        artifacts.drop(KIND, _key(_inputs(layer, texts, recipe, base)))


def _together(decoder: Decoder, layers: Sequence[int]) -> Iterator[list[int]]:
    """The layers in groups whose sums take at most ``SUMS_BYTES`` together, or one layer each. For each group the text
    is read again, up to its last layer."""
    group: list[int] = []
    held = 0
    for layer in layers:
        own = 8 * int(decoder.layers[layer].down.weight.shape[1]) ** 2
        if group and held + own > SUMS_BYTES:
            yield group
            group, held = [], 0
        group.append(layer)
        held += own
    if group:
        yield group


def _inputs(layer: int, texts: Sequence[str], recipe: Recipe, base: str) -> dict[str, Any]:
    """All that a layer's covariance depends on."""
    return {
        "model": base,
        "layer": layer,
        "text": identity(texts),
        "tokens": recipe.covariance_tokens,
        "seed": recipe.seed,
        "dtype": recipe.dtype,
        "window": WINDOW,
    }


def _key(inputs: dict[str, Any]) -> str:
    return content_hash([KIND, FORMAT, inputs])


def _stored_form(total: Tensor, count: int, inputs: dict[str, Any]) -> bytes:
    """What is stored of Σ k kᵀ (m, m) over ``count`` keys."""
    matrix = (total + total.T).div_(2 * count)
    return save({"second_moment": matrix, "tokens": torch.tensor(count), "about": _packed(inputs)})


def _packed(inputs: dict[str, Any]) -> Tensor:
    """As bytes in a tensor: the metadata of a safetensors file have no fixed order, and equal content must be equal
    bytes."""
    return torch.tensor(list(canonical_json(inputs).encode()), dtype=torch.uint8)


def _read(blob: bytes, layer: int, inputs: dict[str, Any]) -> dict[str, Tensor]:
    """The stored tensors. Raises ``EditError`` for a covariance of something else, and for one that is not finite."""
    try:
        tensors = load(blob)
        stored_inputs = json.loads(bytes(tensors["about"].tolist()))
    except (SafetensorError, KeyError, ValueError) as error:
        raise _unsound(f"of layer {layer} does not say what it was measured on") from error
    wrong = [name for name, value in json.loads(canonical_json(inputs)).items() if stored_inputs.get(name) != value]
    if wrong:
        raise _unsound(f"of layer {layer} is another's: it was measured on another {', '.join(wrong)}")
    matrix = tensors["second_moment"]
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not torch.isfinite(matrix.sum()):
        raise _unsound(f"of layer {layer} is not a square matrix of finite numbers")
    return tensors


def _unsound(reason: str) -> EditError:
    return EditError(
        f"The stored key covariance {reason}.",
        next_step="`kbsync stats build --anew` measures it again.",
    )


def _measure(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    recipe: Recipe,
    layers: Sequence[int],
    keys: Sequence[str],
    artifacts: ArtifactStore,
    work: Work,
    executor: Executor | None,
) -> SecondMoments:
    """Σ k kᵀ (m, m) by layer; ``keys`` are the cache keys of ``layers``."""
    work.start("covariance", recipe.covariance_tokens)
    text = corpus(decoder, tokenizer, texts, recipe.covariance_tokens, recipe.seed)
    snapshots = Snapshots(artifacts, content_hash(list(keys)))
    sums = measure(decoder, text, layers, len(opening_ids(tokenizer)), snapshots, work, executor if texts else None)
    work.finish(f"{sums.count} tokens")
    if sums.count < 2:
        raise EditError("The covariance text holds no tokens.", next_step="Name a corpus with text in it.")
    return sums
