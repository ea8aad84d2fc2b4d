from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.fingerprint import reference_fingerprint
from kbsync.model.load import LoadedModel, load
from tests.support.random_models import saved

Loader = Callable[..., LoadedModel]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("llama", tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original, tmp_path / "model"))


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    def run(reference: Path | str, **options: str) -> LoadedModel:
        return load(str(reference), cache_dir=tmp_path / "cache", **options)  # type: ignore[arg-type]

    return run


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_fingerprint_travels(original: Path, directory: Path, tmp_path: Path, loaded: Loader) -> None:
    edit_json(directory / "config.json", transformers_version="9.9", _name_or_path="/elsewhere")
    here = load(str(original), cache_dir=tmp_path / "one").fingerprint
    assert load(str(directory), cache_dir=tmp_path / "two").fingerprint == here
    assert loaded(original).fingerprint == here
    assert len(here) == 64


@pytest.mark.parametrize("what", ["weights", "tokenizer", "config"])
def test_the_fingerprint_follows_the_content(what: str, directory: Path, loaded: Loader) -> None:
    before = loaded(directory).fingerprint
    if what == "weights":
        file = directory / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif what == "tokenizer":
        edit_json(
            directory / "tokenizer.json",
            version="1.0",
            truncation={"max_length": 9, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        )
    else:
        edit_json(directory / "config.json", rms_norm_eps=1e-3)
    assert loaded(directory).fingerprint != before


@pytest.mark.slow
def test_it_is_known_without_loading_the_model(original: Path, tmp_path: Path, loaded: Loader) -> None:
    for dtype in ("float32", "bfloat16"):
        alone = reference_fingerprint(str(original), cache_dir=tmp_path / "alone", dtype=dtype)
        assert alone == loaded(original, dtype=dtype).fingerprint
    program = (
        "import sys; from pathlib import Path; from kbsync.model.fingerprint import reference_fingerprint\n"
        "print(reference_fingerprint(sys.argv[1], cache_dir=Path(sys.argv[2])))\n"
        "print(*({'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", program, str(original), str(tmp_path / "other")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [loaded(original).fingerprint, ""]


def test_of_a_model_that_is_not_there_it_is_not_known(directory: Path, tmp_path: Path) -> None:
    (directory / "model.safetensors").unlink()
    for reference, message in ((directory, r"holds no model\.safetensors"), (tmp_path / "absent", "no directory")):
        with pytest.raises(ModelError, match=message):
            reference_fingerprint(str(reference), cache_dir=tmp_path / "cache")
