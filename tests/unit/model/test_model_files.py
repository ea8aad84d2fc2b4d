from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.model_files import SINGLE_WEIGHTS, WEIGHTS_INDEX, read_json, weight_files


def index(directory: Path, *shards: str) -> None:
    weights = {f"layer {number}": shard for number, shard in enumerate(shards)}
    (directory / WEIGHTS_INDEX).write_text(json.dumps({"weight_map": weights}))


def test_weights_are_one_file_or_the_shards_of_an_index(tmp_path: Path) -> None:
    for name in ("b.safetensors", "a.safetensors", "other.safetensors"):
        (tmp_path / name).touch()
    index(tmp_path, "b.safetensors", "a.safetensors", "b.safetensors")
    assert [file.name for file in weight_files(tmp_path)] == ["a.safetensors", "b.safetensors"]
    (tmp_path / SINGLE_WEIGHTS).touch()
    assert weight_files(tmp_path) == [tmp_path / SINGLE_WEIGHTS]


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        weight_files(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match=r"only as pickle \(pytorch_model\.bin\)"):
        weight_files(tmp_path)
    index(tmp_path, "a.safetensors")
    with pytest.raises(ModelError, match=r"weights that are not there: a\.safetensors"):
        weight_files(tmp_path)
    index(tmp_path)
    with pytest.raises(ModelError, match="none at all"):
        weight_files(tmp_path)


def test_an_object_of_json_is_read_or_its_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    with pytest.raises(ModelError, match=r"config\.json can't be read: No such file"):
        read_json(file)
    for text, says in (("{", "is not JSON"), ("[]", "holds no JSON object")):
        file.write_text(text)
        with pytest.raises(ModelError, match=rf"config\.json {says}"):
            read_json(file)
    file.write_text('{"hidden_size": 8}')
    assert read_json(file) == {"hidden_size": 8}
