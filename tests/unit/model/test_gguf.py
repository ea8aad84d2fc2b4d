from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model import gguf_conversion
from kbsync.model.fingerprint import reference_fingerprint
from kbsync.model.load import load
from tests.support.gguf_file import write_gguf
from tests.support.random_models import SENTENCES, random_model
from tests.support.recorded_work import RecordedWork

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(*random_model("llama"), tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def directories(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.is_dir())


@pytest.mark.slow
@needs_gguf
def test_a_gguf_file_is_converted_once(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = random_model("llama")
    work = RecordedWork()
    found = load(str(file), cache_dir=tmp_path, work=work)
    again = load(str(file), cache_dir=tmp_path, work=work)
    assert work.steps == [("convert", None)] and (work.items, work.finished) == (0, 1)
    assert capfd.readouterr() == ("", "")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert directories(tmp_path) == [f"tiny-{digest[:16]}"]
    assert found.directory == again.directory == tmp_path / f"tiny-{digest[:16]}"
    assert found.fingerprint == again.fingerprint
    assert not hasattr(again.model.config, "quantization_config")
    for sentence in SENTENCES:
        ids = tokenizer(sentence)["input_ids"]
        assert again.tokenizer(sentence)["input_ids"] == ids
        with torch.inference_mode():
            ours = again.model(input_ids=torch.tensor([ids])).logits
            theirs = model(input_ids=torch.tensor([ids])).logits
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@needs_gguf
def test_two_caches_give_one_fingerprint(file: Path, tmp_path: Path) -> None:
    first = load(str(file), cache_dir=tmp_path / "one")
    assert load(str(file), cache_dir=tmp_path / "two").fingerprint == first.fingerprint
    for cache in ("one", "three"):  # converted already, and not yet
        assert reference_fingerprint(str(file), cache_dir=tmp_path / cache) == first.fingerprint


@pytest.mark.slow
@needs_gguf
def test_an_interrupted_conversion_leaves_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path, directory: Path) -> None:
        (directory / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gguf_conversion, "convert", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(str(file), cache_dir=tmp_path)
    assert directories(tmp_path) == []
    assert load(str(file), cache_dir=tmp_path).fingerprint


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r"kbsync\[gguf\]"):
        load(str(tmp_path / "some.gguf"), cache_dir=tmp_path / "cache")


def install(directory: Path, package: str, module: str, files: dict[str, bytes]) -> None:
    """Lay out an installed distribution as pip would."""
    info = directory / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    for name, data in files.items():
        (directory / module / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / module / name).write_bytes(data)
    (info / "RECORD").write_text("".join(f"{module}/{name},,\n" for name in files))


ASSEMBLING = """
from pathlib import Path
MODEL_NAME = "whole.gguf"
EXPECTED_SHA256 = "{digest}"
calls = []
def assemble(output_path):
    calls.append(output_path)
    data = (Path(__file__).parent / "part").read_bytes()
    if {broken}:
        raise ValueError("the parts do not fit")
    Path(output_path).write_bytes(data)
    return Path(output_path)
"""


@pytest.mark.slow
@needs_gguf
def test_packages_give_the_model_of_their_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, data = tmp_path / "site", file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    install(site, "kbsynctest-shipping", "kbsynctest_shipping", {"__init__.py": b"", "data/one.gguf": data})
    source = {broken: ASSEMBLING.format(digest=digest, broken=broken).encode() for broken in (False, True)}
    install(site, "kbsynctest-parts", "kbsynctest_parts", {"__init__.py": source[False], "part": data})
    install(site, "kbsynctest-broken", "kbsynctest_broken", {"__init__.py": source[True], "part": data})
    install(site, "kbsynctest-other", "kbsynctest_other", {"__init__.py": b"x = 1"})
    monkeypatch.syspath_prepend(str(site))

    expected = load(str(file), cache_dir=tmp_path / "file").fingerprint
    assert load("package:kbsynctest-shipping", cache_dir=tmp_path / "shipping").fingerprint == expected
    for _ in range(2):
        assert load("package:kbsynctest-parts", cache_dir=tmp_path / "parts").fingerprint == expected
    assert len(sys.modules["kbsynctest_parts"].calls) == 1
    assert directories(tmp_path / "parts") == [f"whole-{digest[:16]}"]
    assert not list((tmp_path / "parts").rglob("*.gguf"))
    with pytest.raises(ModelError, match="can't put its model together: the parts do not fit"):
        load("package:kbsynctest-broken", cache_dir=tmp_path / "broken")
    with pytest.raises(ModelError, match="does not say how to get its GGUF file"):
        load("package:kbsynctest-other", cache_dir=tmp_path / "other")


RUNS = b"from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
SAYS = b'MODEL_NAME = "x.gguf"\nEXPECTED_SHA256 = "0"\n'
UNFIT: dict[str, dict[str, bytes]] = {
    "nothing said": {"kbsynctest_unfit/__init__.py": RUNS},
    "no assemble": {"kbsynctest_unfit/__init__.py": RUNS + SAYS},
    "not Python": {"kbsynctest_unfit/__init__.py": RUNS + b"def ("},
    "no source": {"kbsynctest_unfit/part": b""},
}


@needs_gguf
@pytest.mark.parametrize("kind", UNFIT)
def test_a_package_that_carries_no_model_is_not_imported(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", "kbsynctest-unfit", ".", UNFIT[kind])
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ModelError, match=r"does not say how to get|has no module"):
        load("package:kbsynctest-unfit", cache_dir=tmp_path / "cache")
    assert not list(tmp_path.rglob("ran"))
    assert "kbsynctest_unfit" not in sys.modules


@needs_gguf
def test_the_module_of_another_package_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = RUNS + SAYS + b"def assemble(path):\n    return path\n"
    install(tmp_path / "site", "kbsynctest-squatted", ".", {"elsewhere.py": b""})
    (tmp_path / "site" / "kbsynctest_squatted").mkdir()
    (tmp_path / "site" / "kbsynctest_squatted" / "__init__.py").write_bytes(good)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ModelError, match="has no module"):
        load("package:kbsynctest-squatted", cache_dir=tmp_path / "cache")
    assert not list(tmp_path.rglob("ran"))


@needs_gguf
def test_what_a_package_puts_together_must_have_the_hash_that_it_says(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ASSEMBLING.format(digest="0" * 64, broken=False).encode()
    install(
        tmp_path / "site", "kbsynctest-wrong", "kbsynctest_wrong", {"__init__.py": source, "part": file.read_bytes()}
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ModelError, match="does not have the SHA-256 that the package says"):
        load("package:kbsynctest-wrong", cache_dir=tmp_path / "cache")
    assert directories(tmp_path / "cache") == []
