"""A model of quantised weights is loaded from a copy in full precision, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kbsync.domain.errors import ModelError
from kbsync.model.dequantised import full_precision
from kbsync.model.digests import digests_in
from kbsync.model.fingerprint import reference_fingerprint
from kbsync.model.load import load
from tests.support.random_models import saved

BLOCK = 32


def fp8_model(directory: Path) -> Path:
    """A Llama as fine-grained FP8, its scales in blocks of 32."""
    saved("llama", directory)
    tensors = load_file(directory / "model.safetensors")
    for name in [n for n in tensors if n.endswith("_proj.weight")]:
        weight = tensors[name]
        rows, columns = (-(-size // BLOCK) for size in weight.shape)
        scale = torch.empty(rows, columns)
        quantised = torch.empty_like(weight)
        for i in range(rows):
            for j in range(columns):
                at = (slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK))
                scale[i, j] = weight[at].abs().max() / 448
                quantised[at] = weight[at] / scale[i, j]
        tensors[name], tensors[f"{name}_scale_inv"] = quantised.to(torch.float8_e4m3fn), scale
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_a_quantised_model_is_loaded_in_full_precision(tmp_path: Path) -> None:
    plain, base = saved("llama", tmp_path / "plain"), fp8_model(tmp_path / "base")
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    loaded = load(str(base), cache_dir=tmp_path / "cache", device="cpu")
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    assert loaded.directory.parent == tmp_path / "cache"
    assert "quantization_config" not in json.loads((loaded.directory / "config.json").read_text())
    own = dict(load(str(plain), cache_dir=tmp_path / "cache", device="cpu").model.named_parameters())
    for name, weight in loaded.model.named_parameters():
        largest = float(own[name].abs().max())
        torch.testing.assert_close(weight, own[name], rtol=0.07, atol=0.01 * largest)
    assert reference_fingerprint(str(base), cache_dir=tmp_path / "cache") == loaded.fingerprint
    again = load(str(base), cache_dir=tmp_path / "cache", device="cpu")
    assert (again.directory, again.fingerprint) == (loaded.directory, loaded.fingerprint)


def test_the_copy_is_the_same_in_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = fp8_model(tmp_path / "base")
    one = full_precision(base, tmp_path / "one", digests_in(tmp_path / "one"))
    monkeypatch.setattr("kbsync.model.dequantised.FILE_BYTES", 20_000)
    many = full_precision(base, tmp_path / "many", digests_in(tmp_path / "many"))
    assert len(list(many.glob("*.safetensors"))) > 2
    whole = load_file(one / "model.safetensors")
    parts = {name: tensor for path in many.glob("*.safetensors") for name, tensor in load_file(path).items()}
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert load(str(many), cache_dir=tmp_path / "cache", device="cpu").model


def test_weights_that_are_not_quantised_and_forms_that_are_not_known_are_left(tmp_path: Path) -> None:
    plain = saved("llama", tmp_path / "plain")
    assert full_precision(plain, tmp_path / "cache", digests_in(tmp_path / "cache")) == plain
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "aqlm"}}))
    assert full_precision(plain, tmp_path / "cache", digests_in(tmp_path / "cache")) == plain
    with pytest.raises(ModelError, match=r"quantised \(aqlm\)") as caught:
        load(str(plain), cache_dir=tmp_path / "cache", device="cpu")
    assert "FP8, MXFP4, GPTQ, AWQ" in caught.value.next_step


def test_a_matrix_that_can_t_be_read_leaves_no_copy(tmp_path: Path) -> None:
    base = fp8_model(tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    name = next(n for n in tensors if n.endswith("_scale_inv"))
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="not finite"):
        load(str(base), cache_dir=tmp_path / "cache", device="cpu")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.endswith("-full")]
