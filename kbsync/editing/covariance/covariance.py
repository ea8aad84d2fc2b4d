"""Key covariance: C = E[k kᵀ] over ordinary text, the weight that an edit gives to all that it must not touch.

Source: MEMIT, section 4.2 and appendix B. Kept under the fingerprint of model, text and settings, and each file says
itself what it was measured on, so that one that was moved or damaged is refused.
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
from kbsync.editing.covariance.corpus import WINDOW, corpus, identity
from kbsync.editing.covariance.moments import Snapshots, measure
from kbsync.editing.sample import opening
from kbsync.model.decoder import Decoder
from kbsync.ports import ArtifactStore, Work

FORMAT = 2
KIND = "covariance"


class StoredMatrices(Mapping[int, Tensor]):
    """C by layer, (m, m) float64, each read from the artifact store when it is asked for: together they may be as large as
    the model, and a search does not need them."""

    def __init__(self, artifacts: ArtifactStore, about: Mapping[int, dict[str, Any]]) -> None:
        self._artifacts, self._about = artifacts, dict(sorted(about.items()))

    def __getitem__(self, layer: int) -> Tensor:
        """Raises ``EditError`` where it is gone or unsound."""
        tensors = self._stored(layer)[0]
        if tensors is None:
            raise _unsound(f"of layer {layer} is gone")
        return tensors["second_moment"]

    def __iter__(self) -> Iterator[int]:
        return iter(self._about)

    def __len__(self) -> int:
        return len(self._about)

    def told(self, layer: int) -> tuple[int, str] | None:
        """Number of keys and SHA-256 of what is stored of a layer; None where nothing is. Raises ``EditError`` as above."""
        tensors, digest = self._stored(layer)
        return None if tensors is None else (int(tensors["tokens"]), digest)

    def _stored(self, layer: int) -> tuple[dict[str, Tensor] | None, str]:
        blob = self._artifacts.get(KIND, _key(self._about[layer]))
        if blob is None:
            return None, ""
        return _read(blob, layer, self._about[layer]), hashlib.sha256(blob).hexdigest()


@dataclass(frozen=True, slots=True)
class Covariances:
    """``matrices``: C by layer. ``fingerprint``: hash of their stored bytes. ``tokens``: keys that each was measured on;
    ``known``: layers that were stored before."""

    matrices: StoredMatrices
    fingerprint: str
    tokens: dict[int, int]
    known: tuple[int, ...]


def covariances(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    recipe: Recipe,
    base: str,
    artifacts: ArtifactStore,
    work: Work,
) -> Covariances:
    """C of each layer of the recipe, from the artifact store or computed; text is sampled where ``texts`` is empty.

    A measurement that was killed goes on from its last snapshot. Raises ``EditError`` when the text gives fewer than
    two tokens, a key is not finite, or what is stored is not finite or was measured on something else;
    ``ModelError`` for layers that the model does not have.
    """
    decoder.edited_layers(recipe.layers)
    about = {layer: _about(layer, texts, recipe, base) for layer in recipe.layers}
    keys = {layer: _key(what) for layer, what in about.items()}
    matrices = StoredMatrices(artifacts, about)
    told = {layer: matrices.told(layer) for layer in matrices}
    missing = [layer for layer in recipe.layers if told[layer] is None]
    if missing:
        for layer, (matrix, counted) in _measure(
            decoder, tokenizer, texts, recipe, missing, [keys[i] for i in missing], artifacts, work
        ).items():
            blob = save({"second_moment": matrix, "tokens": torch.tensor(counted), "about": _packed(about[layer])})
            artifacts.put(KIND, keys[layer], blob)
            told[layer] = matrices.told(layer)
        Snapshots(artifacts, content_hash([keys[i] for i in missing])).drop()
    sound = {layer: what for layer, what in told.items() if what is not None}
    return Covariances(
        matrices,
        content_hash([[layer, digest] for layer, (_, digest) in sound.items()]),
        {layer: tokens for layer, (tokens, _) in sound.items()},
        tuple(layer for layer in sound if layer not in missing),
    )


def known_layers(texts: Sequence[str], recipe: Recipe, base: str, artifacts: ArtifactStore) -> list[int]:
    """The recipe's layers whose covariance is stored."""
    return [i for i in recipe.layers if artifacts.get(KIND, _key(_about(i, texts, recipe, base))) is not None]


def forget(texts: Sequence[str], recipe: Recipe, base: str, artifacts: ArtifactStore) -> None:
    """Drop the recipe's covariances, so that they are measured again."""
    for layer in recipe.layers:
        artifacts.drop(KIND, _key(_about(layer, texts, recipe, base)))


def _about(layer: int, texts: Sequence[str], recipe: Recipe, base: str) -> dict[str, Any]:
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


def _key(about: dict[str, Any]) -> str:
    return content_hash([KIND, FORMAT, about])


def _packed(about: dict[str, Any]) -> Tensor:
    """As bytes in a tensor: the metadata of a safetensors file have no fixed order, and equal content must be equal bytes."""
    return torch.tensor(list(canonical_json(about).encode()), dtype=torch.uint8)


def _read(blob: bytes, layer: int, about: dict[str, Any]) -> dict[str, Tensor]:
    """The stored tensors. Raises ``EditError`` for a covariance of something else, and for one that is not finite."""
    try:
        tensors = load(blob)
        told = json.loads(bytes(tensors["about"].tolist()))
    except (SafetensorError, KeyError, ValueError) as error:
        raise _unsound(f"of layer {layer} does not say what it was measured on") from error
    wrong = [name for name, value in json.loads(canonical_json(about)).items() if told.get(name) != value]
    if wrong:
        raise _unsound(f"of layer {layer} is another's: it was measured on another {', '.join(wrong)}")
    matrix = tensors["second_moment"]
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not torch.isfinite(matrix).all():
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
) -> dict[int, tuple[Tensor, int]]:
    work.start("covariance", recipe.covariance_tokens)
    source = corpus(decoder, tokenizer, texts, recipe.covariance_tokens, recipe.seed)
    snapshots = Snapshots(artifacts, content_hash(list(keys)))
    sums = measure(decoder, source, layers, len(opening(tokenizer)), snapshots, work)
    work.finish(f"{sums.counted} tokens")
    if sums.counted < 2:
        raise EditError("The covariance text holds no tokens.", next_step="Name a corpus with text in it.")
    return {layer: ((total + total.T) / (2 * sums.counted), sums.counted) for layer, total in sums.by_layer.items()}
