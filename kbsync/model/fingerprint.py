"""What a model is, as one hash: the same weights, tokenizer and dtype give the same fingerprint on every machine.

It is computed from the model's files alone. Neither this module nor what it imports loads torch or transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.model.digests import Digests, digests_in
from kbsync.model.model_files import TOKENIZER_FILES, read_json, weight_files
from kbsync.model.reference import model_directory
from kbsync.ports import UNWATCHED, Work

VOLATILE = frozenset(
    {"transformers_version", "_name_or_path", "name_or_path", "tokenizer_file", "is_local", "local_files_only"}
)
"""Keys that say where a file was or what wrote it, and nothing about the model."""


def reference_fingerprint(reference: str, *, cache_dir: Path, dtype: str = "float32", work: Work = UNWATCHED) -> str:
    """The fingerprint of the model that ``load`` loads, without loading it.

    Args:
        reference: As ``load`` takes it. A GGUF file that was not converted yet is converted (which does load it), and a
            model of the hub that is not in the hub's cache is fetched.
        cache_dir: Keeps converted GGUF files and remembered digests.
        dtype: The dtype in which the weights are to be loaded.
        work: Shows a conversion.

    Raises:
        ModelError: there is no such model, or files of it are missing.
    """
    digests = digests_in(cache_dir)
    return fingerprint(model_directory(reference, cache_dir, digests, work), dtype, digests)


def fingerprint(directory: Path, dtype: str, digests: Digests) -> str:
    """SHA-256 over the content of weights, tokenizer and configuration, and the dtype.

    Names of directories are not in it, and neither are the keys in ``VOLATILE``.

    Args:
        directory: Holds the model as safetensors.
        dtype: The dtype in which the weights are loaded.
        digests: Remembers the digests of large files.

    Raises:
        ModelError: a file of the model is missing or damaged.
    """
    tokenizer: dict[str, Any] = {}
    for name in TOKENIZER_FILES:
        path = directory / name
        if not path.is_file():
            continue
        small = path.suffix == ".json" and name not in {"tokenizer.json", "vocab.json"}
        tokenizer[name] = lasting(read_json(path)) if small else digests.of(path)
    return content_hash(
        {
            "weights": [digests.of(path) for path in weight_files(directory)],
            "tokenizer": tokenizer,
            "config": lasting(read_json(directory / "config.json")),
            "dtype": dtype,
        }
    )


def lasting(value: Any) -> Any:
    """``value`` without volatile keys, at any depth. NaN and infinities (some configurations hold them) become text."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [lasting(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
