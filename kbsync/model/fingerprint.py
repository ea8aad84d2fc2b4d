"""What a model is, as one hash: the same weights, tokenizer and dtype give the same fingerprint on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ModelError
from kbsync.system.durable import write_file

SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
VOLATILE = frozenset(
    {"transformers_version", "_name_or_path", "name_or_path", "tokenizer_file", "is_local", "local_files_only"}
)
"""Keys that say where or by what a file was written, and nothing about the model."""


class Digests:
    """SHA-256 of files, remembered by path, size and modification time (ns).

    A file that is replaced by one of the same size with its old time set back is not noticed: whoever can do that
    can write to the cache as well. An unreadable cache is as good as an empty one.
    """

    def __init__(self, cache_file: Path) -> None:
        self._file = cache_file

    def of(self, path: Path) -> str:
        """64 hex digits. Raises ``OSError`` where ``path`` can't be read."""
        path = path.resolve()
        stat = path.stat()
        known = self._read()
        entry = known.get(str(path))
        if isinstance(entry, list) and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
            return str(entry[2])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        known[str(path)] = [stat.st_size, stat.st_mtime_ns, digest]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._file, json.dumps(known, indent=1, sort_keys=True).encode())
        return digest

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that hold the model, sorted by name. Raises ``ModelError`` where there are none."""
    if (directory / SINGLE_WEIGHTS).is_file():
        return [directory / SINGLE_WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        shards = sorted(set(read_json(directory / WEIGHTS_INDEX).get("weight_map", {}).values()))
        missing = [name for name in shards if not (directory / name).is_file()]
        if missing or not shards:
            raise ModelError(
                f"{directory}: {WEIGHTS_INDEX} names weights that are not there: {', '.join(missing) or 'none at all'}.",
                next_step="Fetch the model again.",
            )
        return [directory / name for name in shards]
    pickles = sorted(p.name for p in directory.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"})
    if pickles:
        raise ModelError(
            f"{directory} has its weights only as pickle ({', '.join(pickles[:3])}), which can run code when it is read.",
            next_step="Get the model as safetensors, or convert it where you trust its source.",
        )
    raise ModelError(
        f"{directory} holds no {SINGLE_WEIGHTS}.",
        next_step="Name a directory with config.json and safetensors weights.",
    )


def fingerprint(directory: Path, dtype: str, digests: Digests) -> str:
    """SHA-256 over the content of weights, tokenizer and configuration, and ``dtype``; names of directories are not in it."""
    tokenizer: dict[str, Any] = {}
    for name in TOKENIZER_FILES:
        path = directory / name
        if not path.is_file():
            continue
        small = path.suffix == ".json" and name not in {"tokenizer.json", "vocab.json"}
        tokenizer[name] = _lasting(read_json(path)) if small else digests.of(path)
    return content_hash(
        {
            "weights": [digests.of(path) for path in weight_files(directory)],
            "tokenizer": tokenizer,
            "config": _lasting(read_json(directory / "config.json")),
            "dtype": dtype,
        }
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's directory. Raises ``ModelError`` with the place."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"{path} can't be read: {error.strerror}.", next_step="Name a directory with a whole model."
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.", next_step="Fetch the model again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object.", next_step="Fetch the model again.")
    return value


def _lasting(value: Any) -> Any:
    """``value`` without volatile keys, at any depth; infinities (some configurations hold them) become text."""
    if isinstance(value, dict):
        return {k: _lasting(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_lasting(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
