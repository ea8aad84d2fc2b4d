"""Whether a model's files are what kbsync loads, before anything is built from them.

The files are a stranger's. Neither this module nor what it imports loads torch or transformers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbsync.domain.errors import ModelError
from kbsync.model.model_files import read_json, weight_files

FULL_PRECISION = frozenset({"F64", "F32", "F16", "BF16"})
_COUNTS = re.compile(
    r"(num|n|max)_(\w+_)?(layers?|blocks?|experts?|heads?|stages?|groups?)|\w+_layers|depth|layers|n_layer|n_head"
)
"""Keys of a configuration that say how many parts of a kind a model has."""
MOST_PARTS = 10_000
"""More parts of a kind than any model has."""
_MEASURES = re.compile(r"theta|base|freq|position|len|ctx|context|size|dim|embd|inner|window|token|seed|_ids?\b|param")
"""What is found in keys of numbers that nothing is repeated by."""
MOST_OTHERS = 10**7
"""No other number is larger: a number that something is repeated by takes all memory, whatever it is called."""
MOST_REPEATED = 3_000
"""Largest number in a list inside a list: ``[["global", "local"], 6]`` repeats what stands before it."""
MOST_VALUES = 20_000
"""More values than any configuration has."""
UNPACKED = "FP8, MXFP4, GPTQ, AWQ, bitsandbytes, and compressed-tensors of floats and integers"
"""What ``kbsync.model.packings`` reads, for people."""
_QUANTISED = ("quantization_config", "compression_config", "quantization")
_QUANTISED_FILES = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
_ELSEWHERE = ("transformers_weights",)
"""Keys of a configuration that name other weights than those that kbsync fingerprints."""
_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(_internal)?")
_SCALES = re.compile(
    r"weight_?(scales?|scale_inv|scale_2|zero_points?|absmax|quant_state\b.*|shape|packed)|qweight|qzeros|SCB"
)
"""Names (their last part) of what quantised weights have beside them."""
_COUNTED = re.compile(
    r"(masked_)?bias|\w*(position|token_type)_ids|\w*mask|num_batches_tracked|\w*(index|indices|offsets)"
)
"""Names (their last part) of integers that are no weights."""
_HEADER = 100 * 2**20
"""The longest header that safetensors allows."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a safetensors file, as its header says."""

    name: str
    dtype: str
    """As safetensors writes it: F32, BF16, F8_E4M3, …"""
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def stored_tensors(directory: Path) -> list[StoredTensor]:
    """All tensors of a model; raises ``ModelError`` for a file that is not safetensors."""
    return [tensor for path in weight_files(directory) for tensor in _header(path)]


def require_loadable(directory: Path, causal: frozenset[str]) -> list[StoredTensor]:
    """Check the files of a model before it is built.

    Args:
        directory: Holds the model as safetensors.
        causal: The classes that are causal language models.

    Returns:
        Its tensors.

    Raises:
        ModelError: It is not a causal language model in full precision, counts more parts than it has weights, or names
            weights or code that lie elsewhere.
    """
    tensors = stored_tensors(directory)
    config = read_json(directory / "config.json")
    _require_causal(directory, config, causal)
    _require_own(directory, config)
    _require_full_precision(directory, config, tensors)
    _require_counts(directory, config, len(tensors))
    return tensors


def _require_causal(directory: Path, config: Mapping[str, Any], causal: frozenset[str]) -> None:
    architectures = config.get("architectures") or []
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise _odd(directory, "architectures", architectures)
    if config.get("is_encoder_decoder") or (architectures and causal.isdisjoint(architectures)):
        raise ModelError(
            f"{directory} is not a causal language model but {', '.join(architectures) or 'an encoder-decoder'}.",
            next_step="Name a decoder-only model, such as a Llama, Gemma or GPT-2.",
        )


def _require_own(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuse a configuration that leads to weights or code that lie elsewhere."""
    for key, value in _entries(config):
        leads_away = _IMPLEMENTATION.fullmatch(key) and any(sign in str(value) for sign in "/:@")
        if value and (key in _ELSEWHERE or leads_away):
            raise ModelError(
                f"config.json of {directory} names other weights or code to load ({key} = {str(value)[:80]!r}).",
                next_step="Remove that line, if the model is meant to work without it.",
            )


def _require_full_precision(directory: Path, config: Mapping[str, Any], tensors: Sequence[StoredTensor]) -> None:
    for key, value in _entries(config):
        if key in _QUANTISED and value:
            if not isinstance(value, dict):
                raise _odd(directory, key, value)
            raise _quantised(directory, str(value.get("quant_method", "an unnamed method")))
    for name in _QUANTISED_FILES:
        if (directory / name).exists():
            raise _quantised(directory, f"{name} says so")
    for tensor in tensors:
        last = tensor.name.rpartition(".")[2]
        packed = tensor.dtype not in FULL_PRECISION and len(tensor.shape) > 1 and not _COUNTED.fullmatch(last)
        if packed or tensor.dtype.startswith(("F8_", "F6_", "F4")) or _SCALES.fullmatch(last):
            raise _quantised(directory, f"{tensor.name} is stored as {tensor.dtype}")


def _require_counts(directory: Path, config: Mapping[str, Any], tensors: int) -> None:
    """Each part of a model has a tensor at least; this keeps a number from building parts until the memory is gone."""
    for key, value in _entries(config):
        if _COUNTS.fullmatch(key) and isinstance(value, int | float) and not value <= max(MOST_PARTS, tensors):
            raise ModelError(
                f"config.json of {directory} says {key} = {str(value)[:20]}, and the weights have {tensors} tensors.",
                next_step="Fetch the model again.",
            )
        if isinstance(value, int | float) and not _MEASURES.search(key) and not value <= MOST_OTHERS:
            raise _odd(directory, key, value)
        for repeated in _in_lists(value) if isinstance(value, list) else ():
            if not repeated <= MOST_REPEATED:
                raise _odd(directory, key, repeated)
    if sum(1 for _ in _values(config)) > MOST_VALUES:
        raise _odd(directory, "more values", MOST_VALUES)


def _in_lists(values: list[Any]) -> Iterator[int | float]:
    """The numbers of a list that stand in further lists."""
    inner = [value for value in values if isinstance(value, list)]
    for one in inner:
        yield from (value for value in one if isinstance(value, int | float))
        yield from _in_lists(one)


def _values(value: Any) -> Iterator[Any]:
    """All values of a configuration, at any depth, themselves and what they hold."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values(inner)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values of a configuration, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _quantised(directory: Path, how: str) -> ModelError:
    return ModelError(
        f"The weights of {directory} are quantised ({how}), and an edit needs them in full precision.",
        next_step="Name the model that they were quantised from. kbsync takes weights back to full precision where "
        f"quantization_config names one of these forms: {UNPACKED}.",
    )


def _odd(directory: Path, key: str, value: Any) -> ModelError:
    return ModelError(
        f"config.json of {directory} says {key} = {str(value)[:80]!r}, which no model says.",
        next_step="Fetch the model again.",
    )


def _header(path: Path) -> Iterator[StoredTensor]:
    """What a safetensors file says of its tensors."""
    damaged = ModelError(f"{path} can't be loaded: it is no safetensors file.", next_step="Fetch the model again.")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_HEADER, path.stat().st_size):
                raise damaged
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                shape = tuple(entry["shape"])
                if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) > 2 * path.stat().st_size:
                    raise damaged
                yield StoredTensor(name, str(entry["dtype"]), shape)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
