from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.model_files import SINGLE_WEIGHTS, WEIGHTS_INDEX, other_files, read_json, weight_files


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
    deep = ('{"a":' * 80 + "1" + "}" * 80, '{"a":' * 100_000, "[" * 70 + "]" * 70)
    for text, says in (
        ("{", "is not JSON"),
        ('{"a": "\\ud800"}', "is not JSON"),
        ("[]", "holds no JSON object"),
        *((d, "is nested too deep") for d in deep),
    ):
        file.write_text(text)
        with pytest.raises(ModelError, match=rf"config\.json {says}"):
            read_json(file)
    file.write_text('{"hidden_size": 8}')
    assert read_json(file) == {"hidden_size": 8}


@pytest.mark.parametrize(
    "said", [[], {}, {"weight_map": []}, {"weight_map": {"a": 5}}, "../x.safetensors", "a.bin", "*"]
)
def test_an_index_that_names_no_files_beside_it_is_refused(tmp_path: Path, said: object) -> None:
    if isinstance(said, str):
        said = {"weight_map": {"a": said}}
    (tmp_path / WEIGHTS_INDEX).write_text(json.dumps(said))
    with pytest.raises(ModelError, match=r"says no place|holds no JSON object"):
        weight_files(tmp_path)


def test_all_that_is_no_weight_belongs_to_a_model(tmp_path: Path) -> None:
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "original").mkdir()
    kept = ["LICENSE", "additional_chat_templates/tools.jinja", "config.json", "tokenizer.model"]
    for name in (
        *kept,
        "model.safetensors",
        "x.bin",
        "x.bin.index.json",
        "kbsync.json",
        ".git",
        "original/params.json",
    ):
        (tmp_path / name).touch()
    assert sorted(map(str, other_files(tmp_path))) == kept
    (tmp_path / SINGLE_WEIGHTS).rename(tmp_path / "a.safetensors")
    index(tmp_path, "a.safetensors")
    assert sorted(map(str, other_files(tmp_path))) == sorted([*kept, WEIGHTS_INDEX])
