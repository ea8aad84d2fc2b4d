"""An exported directory answers as the version does, for plain transformers."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.domain.errors import EditError, StoreError
from kbsync.model.delta import applied
from tests.support.export_samples import IDS, loaded_model, make_delta
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
