"""A model's own files are copied with the edited tensors in place, where they are the weights that were loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.checkpoints.safetensors_patch import write_patched
from kbsync.domain.errors import StoreError
from kbsync.model.delta import applied
from tests.support.export_samples import make_delta, on_disk
from tests.support.file_faults import limited_file_size


def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not copied fails."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("written anew")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", refuse)


@pytest.mark.parametrize("shard", ["5GB", "5KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["llama", "tied llama", "gpt2"])
def test_the_bases_files_are_copied_and_patched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, dtype: torch.dtype, shard: str
) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", kind, dtype, shard)
    delta, whole = make_delta(name, shape), tmp_path / "whole"
    export_hf(replace(loaded, directory=Path("nowhere")), delta, whole)
    copied(monkeypatch)
    target = export_hf(loaded, delta, tmp_path / "copied")
    plain, wanted = (AutoModelForCausalLM.from_pretrained(d, dtype="auto").state_dict() for d in (target, whole))
    assert plain.keys() == wanted.keys()
    assert all(torch.equal(plain[n], wanted[n]) for n in wanted)
    told = json.loads((target / "kbsync.json").read_text())["files"]
    assert told.keys() == {p.name for p in target.iterdir()} - {"kbsync.json"}
    assert all(hashlib.sha256((target / n).read_bytes()).hexdigest() == digest for n, digest in told.items())
    assert {n for n in told if n.endswith(".safetensors")} == {
        p.name for p in (tmp_path / "base").glob("*.safetensors")
    }


def test_files_that_are_not_the_loaded_weights_are_not_copied(tmp_path: Path) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "llama", torch.float32)
    with torch.no_grad():
        loaded.model.get_parameter(name).add_(1.0)
    delta = make_delta(name, shape)
    with applied(loaded.model, delta):
        wanted = loaded.model.get_parameter(name).clone()
    target = export_hf(loaded, delta, tmp_path / "out")
    assert torch.equal(AutoModelForCausalLM.from_pretrained(target, dtype="auto").get_parameter(name), wanted)


def test_a_disk_that_fails_while_files_are_copied_exports_nothing(tmp_path: Path) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "llama", torch.float32)
    with limited_file_size(1000), pytest.raises(StoreError) as caught:
        export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    assert "nothing was exported" in caught.value.kept
    assert [p.name for p in tmp_path.iterdir()] == ["base"]


def test_the_digests_are_of_what_was_written(tmp_path: Path) -> None:
    loaded, name, _ = on_disk(tmp_path / "base", "llama", torch.float32, "5KB")
    before = {name: loaded.model.get_parameter(name)}
    (tmp_path / "copy").mkdir()
    digests = write_patched(tmp_path / "base", tmp_path / "copy", before, {name: before[name] + 1})
    assert digests is not None and len(digests) > 1
    for file, digest in digests.items():
        assert hashlib.sha256((tmp_path / "copy" / file).read_bytes()).hexdigest() == digest
    changed = {
        file for file in digests if (tmp_path / "copy" / file).read_bytes() != (tmp_path / "base" / file).read_bytes()
    }
    assert len(changed) == 1
    for file in ("config.json", "tokenizer.json"):
        assert (tmp_path / "copy" / file).read_bytes() == (tmp_path / "base" / file).read_bytes()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_an_edit_in_float32_leaves_the_other_tensors_of_a_bfloat16_base_as_they_are(tmp_path: Path, kind: str) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", kind, torch.bfloat16)
    loaded.model.float()
    with applied(loaded.model, make_delta(name, shape)):
        wanted = {n: t.clone() for n, t in loaded.model.state_dict().items()}
    target = export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    before, after = (load_file(d / "model.safetensors") for d in (tmp_path / "base", target))
    assert before.keys() == after.keys()
    assert {n for n in after if after[n].dtype == torch.float32} == {name}
    assert all(torch.equal(after[n], before[n]) for n in after if n != name)
    assert (target / "config.json").read_bytes() == (tmp_path / "base" / "config.json").read_bytes()
    assert json.loads((target / "kbsync.json").read_text())["dtype"] == "float32"
    plain = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).state_dict()
    assert plain.keys() == wanted.keys()
    assert all(torch.equal(plain[n], wanted[n]) for n in wanted)


def test_tensors_are_found_whatever_the_files_call_them(tmp_path: Path) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "gpt2", torch.float32)
    weights = load_file(tmp_path / "base" / "model.safetensors")
    renamed = {n.removeprefix("transformer."): t for n, t in weights.items()}
    save_file(renamed, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with applied(loaded.model, make_delta(name, shape)):
        wanted = loaded.model.get_parameter(name).clone()
    target = export_hf(loaded, make_delta(name, shape), tmp_path / "out")
    after = load_file(target / "model.safetensors")
    assert after.keys() == renamed.keys()
    assert [n for n in after if not torch.equal(after[n], renamed[n])] == [name.removeprefix("transformer.")]
    assert torch.equal(after[name.removeprefix("transformer.")], wanted)


def test_nothing_is_written_where_a_parameter_is_missing(tmp_path: Path) -> None:
    loaded, name, _ = on_disk(tmp_path / "base", "llama", torch.float32)
    tensor = loaded.model.get_parameter(name)
    (tmp_path / "copy").mkdir()
    other = {name: tensor + 1}
    assert write_patched(tmp_path / "base", tmp_path / "copy", other, other) is None
    assert write_patched(tmp_path / "nowhere", tmp_path / "copy", {name: tensor}, {name: tensor}) is None
    assert list((tmp_path / "copy").iterdir()) == []
