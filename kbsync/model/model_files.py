"""The files of which a model's directory consists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from kbsync.domain.errors import ModelError

SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TEMPLATE_FILE = "chat_template.jinja"
"""Not one of the files that identify a model: how it is asked stands in the prompts themselves."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
OTHER_TEMPLATES = "additional_chat_templates"
"""The only folder of a model whose files transformers reads."""
ADAPTER = "adapter_config.json"
_WEIGHTS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf", ".ggml", ".h5", ".keras", ".msgpack", ".npz"),
    *(".npy", ".onnx", ".onnx_data", ".ot", ".tflite", ".mlmodel", ".dduf", ".nemo", ".part"),
)
"""How the names of files end that hold weights, in whatever form."""
_RECORD = "kbsync.json"
"""What kbsync writes into an export, which may be the base of another site."""
_DEPTH = 60
"""How deeply the JSON of a model may be nested; real ones have some five levels."""


def other_files(directory: Path) -> Iterator[PurePosixPath]:
    """What a model consists of besides its weights, relative to ``directory``: configuration, tokenizer, templates,
    processors, licence and whatever else lies there. Folders are not, but for that of further chat templates, and
    neither are hidden files."""
    for place in (directory, directory / OTHER_TEMPLATES):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            weights = path.name.endswith((*_WEIGHTS, ".index.json"))
            if path.is_file() and not weights and path.name != _RECORD and not path.name.startswith("."):
                yield PurePosixPath(path.relative_to(directory).as_posix())
    if not (directory / SINGLE_WEIGHTS).is_file() and (directory / WEIGHTS_INDEX).is_file():
        yield PurePosixPath(WEIGHTS_INDEX)


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that hold the model, sorted by name.

    Raises:
        ModelError: there are none, the index names one that is missing, or an adapter lies beside them.
    """
    if (directory / ADAPTER).exists():
        raise ModelError(
            f"{directory} holds an adapter ({ADAPTER}) beside the weights; whether it is applied depends on what is "
            "installed.",
            next_step="Merge the adapter into the weights, or move it to a directory of its own.",
        )
    if (directory / SINGLE_WEIGHTS).is_file():
        return [directory / SINGLE_WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        shards = shards_in(directory / WEIGHTS_INDEX)
        missing = [name for name in shards if not (directory / name).is_file()]
        if missing or not shards:
            raise ModelError(
                f"{directory}: {WEIGHTS_INDEX} names weights that are not there: "
                f"{', '.join(missing) or 'none at all'}.",
                next_step="Fetch the model again.",
            )
        return [directory / name for name in shards]
    pickles = sorted(p.name for p in directory.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"})
    if pickles:
        raise ModelError(
            f"{directory} has its weights only as pickle ({', '.join(pickles[:3])}), "
            "which can run code when it is read.",
            next_step="Get the model as safetensors, or convert it where you trust its source.",
        )
    raise ModelError(
        f"{directory} holds no {SINGLE_WEIGHTS}.",
        next_step="Name a directory with config.json and safetensors weights.",
    )


def shards_in(index: Path) -> list[str]:
    """The names of the files that an index of weights names, sorted.

    Raises:
        ModelError: it is damaged, or names something else than files beside it.
    """
    files = read_json(index).get("weight_map")
    names: list[Any] = list(files.values()) if isinstance(files, dict) else [None]
    odd = [n for n in names if not isinstance(n, str) or n != Path(n).name or not n.endswith(".safetensors")]
    if odd:
        raise ModelError(
            f"{index} says no place of the weights that lies beside it (it says {str(odd[0])[:80]!r}).",
            next_step="Fetch the model again.",
        )
    return sorted(set(names))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a model's directory.

    Raises:
        ModelError: the file can't be read, holds no JSON object, or one that is nested beyond reason; the error names
            the file.
    """
    try:
        value = json.loads(path.read_bytes())
        _require_flat(value)
        json.dumps(value, ensure_ascii=False).encode()  # half surrogates are in no UTF-8
    except OSError as error:
        raise ModelError(
            f"{path} can't be read: {error.strerror}.", next_step="Name a directory with a whole model."
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.", next_step="Fetch the model again.") from error
    except RecursionError as error:
        raise ModelError(f"{path} is nested too deeply.", next_step="Fetch the model again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object.", next_step="Fetch the model again.")
    return value


def _require_flat(value: Any) -> None:
    """Raise ``RecursionError`` for JSON of more than ``_DEPTH`` levels, which recursive readers would choke on."""
    level = [value]
    for _ in range(_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RecursionError
