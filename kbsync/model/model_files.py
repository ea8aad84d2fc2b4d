"""The files of which a model's directory consists."""

from __future__ import annotations

import json
from pathlib import Path
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


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that hold the model, sorted by name.

    Raises:
        ModelError: there are none, or the index names one that is missing.
    """
    if (directory / SINGLE_WEIGHTS).is_file():
        return [directory / SINGLE_WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        shards = sorted(set(read_json(directory / WEIGHTS_INDEX).get("weight_map", {}).values()))
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


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a model's directory.

    Raises:
        ModelError: the file can't be read, or holds no JSON object; the error names the file.
    """
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
