"""An exported directory answers as the version does, for plain transformers."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.checkpoints.exporters.lora import export_lora
from kbsync.domain.errors import EditError, StoreError
from kbsync.model.delta import applied
from tests.support.export_samples import IDS, loaded_model, make_delta, on_disk
from tests.support.file_faults import failing, limited_file_size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["llama", "tied llama", "gpt2"])
def test_plain_transformers_answers_as_the_version(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    loaded, name, shape = loaded_model(kind, dtype)
    delta = make_delta(name, shape)
    before = {n: p.clone() for n, p in loaded.model.named_parameters()}
    base = loaded.model(IDS).logits
    with applied(loaded.model, delta):
        expected = loaded.model(IDS).logits
    assert (expected - base).abs().max() > 0.01

    exported = export_hf(loaded, delta, tmp_path / "out" / "version-1")

    plain = AutoModelForCausalLM.from_pretrained(exported, dtype="auto").eval()  # type: ignore[no-untyped-call]
    assert plain.dtype == dtype
    assert torch.allclose(plain(IDS).logits, expected, atol=1e-5, rtol=0)
    text = "the head of state of France is"
    assert AutoTokenizer.from_pretrained(exported)(text).input_ids == loaded.tokenizer(text).input_ids
    assert all(torch.equal(p, before[n]) for n, p in loaded.model.named_parameters())
    assert torch.equal(loaded.model(IDS).logits, base)
    assert not [p for p in exported.rglob("*") if p.suffix in {".bin", ".pt", ".pkl"}]


BESIDE = {
    # transformers reads this one, and refuses to write it
    "generation_config.json": '{"do_sample": false, "temperature": 0.9}',
    "chat_template.jinja": "{{ messages }}",
    "additional_chat_templates/tools.jinja": "{{ tools }}",
    "preprocessor_config.json": '{"image_processor_type": "X"}',
    "LICENSE": "as it is",
}


@pytest.mark.parametrize("written", ["copied", "anew"])
def test_what_is_no_weight_is_the_bases_byte_for_byte(tmp_path: Path, written: str) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "llama", torch.float32)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    config.pop("rope_parameters")
    config |= {"rope_theta": 500000.0, "torch_dtype": "float32", "transformers_version": "4.51.0"}
    (tmp_path / "base" / "config.json").write_text(json.dumps(config, indent=1))
    for file, text in BESIDE.items():
        (tmp_path / "base" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "base" / file).write_text(text)
    for weights in ("consolidated.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", ".hidden"):
        (tmp_path / "base" / weights).write_text("{}")
    loaded.model.generation_config.temperature = 0.9
    if written == "anew":
        with torch.no_grad():
            loaded.model.get_parameter(name).add_(1.0)
    target = export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    there = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert there == {
        *BESIDE,
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
        "kbsync.json",
    }
    for file in there - {"model.safetensors", "kbsync.json"}:
        assert (target / file).read_bytes() == (tmp_path / "base" / file).read_bytes(), file
    assert loaded.model.generation_config.temperature == 0.9


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_rights_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "llama", torch.float32)
    (tmp_path / "base" / "model.safetensors").chmod(0o600)
    before = os.umask(umask)
    try:
        targets = [export_hf(loaded, make_delta(name, shape), tmp_path / "hf")]
        export_lora(loaded, make_delta(name, shape), tmp_path / "lora")
    finally:
        os.umask(before)
    for path in [p for d in (*targets, tmp_path / "lora") for p in d.rglob("*")]:
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path


def test_an_empty_directory_may_be_the_target_and_a_full_one_not(tmp_path: Path) -> None:
    loaded, name, shape = loaded_model("llama", torch.float32)
    target = tmp_path / "out"
    target.mkdir()
    export_hf(loaded, make_delta(name, shape), target)
    assert (target / "model.safetensors").is_file()
    written = {p: p.stat().st_mtime_ns for p in target.iterdir()}
    with pytest.raises(StoreError, match="is there already"):
        export_hf(loaded, make_delta(name, shape), target)
    assert {p: p.stat().st_mtime_ns for p in target.iterdir()} == written
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is there already"):
        export_hf(loaded, make_delta(name, shape), tmp_path / "file")


def test_a_delta_of_another_model_exports_nothing(tmp_path: Path) -> None:
    loaded, _, _ = loaded_model("llama", torch.float32)
    with pytest.raises(EditError, match="no parameter"):
        export_hf(loaded, make_delta("model.layers.9.mlp.down_proj.weight", (16, 64)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_exports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, name, shape = loaded_model("llama", torch.float32)
    with failing(monkeypatch, "fsync", errno.ENOSPC), pytest.raises(StoreError, match="Make room") as caught:
        export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    assert "nothing was exported" in caught.value.kept
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_inside_safetensors_exports_nothing(tmp_path: Path) -> None:
    loaded, name, shape = loaded_model("llama", torch.float32)
    with limited_file_size(1000), pytest.raises(StoreError) as caught:
        export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    assert "nothing was exported" in caught.value.kept
    assert list(tmp_path.iterdir()) == []
