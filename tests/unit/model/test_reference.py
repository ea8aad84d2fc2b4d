from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.utils import filter_repo_objects

from kbsync.domain.errors import ModelError
from kbsync.model.digests import digests_in
from kbsync.model.load import load
from kbsync.model.reference import _NOT, _SMALL, model_directory
from tests.support.random_models import saved

Finder = Callable[[Path | str], Path]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("llama", tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture
def find(tmp_path: Path) -> Finder:
    def run(reference: Path | str) -> Path:
        cache = tmp_path / "cache"
        return model_directory(str(reference), cache, digests_in(cache))

    return run


def test_a_directory_is_taken_as_it_is(original: Path, find: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(original) == original
    monkeypatch.setenv("HOME", str(original.parent))
    assert find("~/model") == original
    monkeypatch.chdir(original.parent)
    assert find("model") == Path("model")


def test_what_is_not_there_is_refused(tmp_path: Path, find: Finder) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"")
    for reference, message in (
        (tmp_path / "absent", "There is no directory"),
        ("./absent", "There is no directory"),
        ("absent", "There is no directory"),
        (tmp_path / "absent.gguf", "There is no file"),
        (file, r"neither a directory nor a \.gguf file"),
        ("package:no-such-package-of-models", "not installed"),
        ("package:", "not installed"),
    ):
        with pytest.raises(ModelError, match=message):
            find(reference)


@pytest.mark.slow
def test_a_model_of_the_hub_comes_from_its_cache(
    original: Path, tmp_path: Path, find: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(original, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for reference in ("someone/tiny", "someone/tiny@main", f"someone/tiny@{commit}"):
        directory = find(reference)
        assert directory == repository / "snapshots" / commit
        loaded = load(reference, cache_dir=tmp_path / "cache")
        assert loaded.fingerprint == load(str(original), cache_dir=tmp_path / "cache").fingerprint
    for reference in ("someone/other", "someone/tiny@v2"):
        with pytest.raises(ModelError, match="the hub can't be reached"):
            find(reference)
    with pytest.raises(ModelError, match="The hub did not give"):
        find("some one/ti ny")


REPOSITORY = [
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
    *("merges.txt", "tokenizer.model", "chat_template.jinja", "additional_chat_templates/tools.jinja"),
    *("preprocessor_config.json", "processor_config.json", "model.safetensors.index.json", "model.safetensors"),
    *("LICENSE", "NOTICE", "README.md"),
]
OTHER_FORMS = [
    *("model-00001-of-00002.safetensors", "consolidated.safetensors", "consolidated.safetensors.index.json"),
    *("original/params.json", "original/model.safetensors", "onnx/model.onnx", "onnx/config.json"),
    *(
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model.gguf",
        "adapter_config.json",
        "adapter_model.safetensors",
    ),
    *("adapter/config.json", "figure.png", "modeling_x.py"),
]


def test_of_a_repository_only_what_is_needed_is_fetched() -> None:
    fetched = filter_repo_objects([*REPOSITORY, *OTHER_FORMS], allow_patterns=_SMALL, ignore_patterns=_NOT)
    assert list(fetched) == REPOSITORY


def test_the_shards_that_the_index_names_are_fetched_and_no_others(
    tmp_path: Path, find: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, asked = "0123456789abcdef0123456789abcdef01234567", []
    (tmp_path / commit).mkdir()
    index = {"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}}
    (tmp_path / commit / "model.safetensors.index.json").write_text(json.dumps(index))

    def download(name: str, **rest: object) -> str:
        asked.append((name, rest["revision"], rest["allow_patterns"]))
        return str(tmp_path / commit)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find("someone/tiny@v1") == tmp_path / commit
    assert asked == [
        ("someone/tiny", "v1", _SMALL),
        ("someone/tiny", commit, ["model-1.safetensors", "model-2.safetensors"]),
    ]
