"""An exported directory answers as the version does, for plain transformers."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.domain.errors import EditError, StoreError
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.load import LoadedModel
from tests.support.file_faults import failing, limited_file_size

WORDS = ["<unk>", "<eos>", *["the", "head", "of", "state", "France", "Germany", "is", "Paris", "Berlin"]]
IDS = torch.tensor([[2, 3, 4, 5, 6, 8, 9, 1]])


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")


def loaded_model(kind: str, dtype: torch.dtype) -> tuple[LoadedModel, str, tuple[int, int]]:
    """A random model, the name of the parameter to edit, and its (out, in)."""
    torch.manual_seed(0)
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=32))
        name = "transformer.h.1.mlp.c_proj.weight"
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(WORDS),
                hidden_size=16,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=32,
                tie_word_embeddings=kind == "tied llama",
            )
        )
        name = "model.layers.1.mlp.down_proj.weight"
    model = model.to(dtype).eval().requires_grad_(False)
    return LoadedModel(model, tiny_tokenizer(), "f" * 64, kind, Path("nowhere")), name, (16, 64)


def make_delta(name: str, shape: tuple[int, int]) -> FactorDelta:
    generator = torch.Generator().manual_seed(1)
    out, width = shape
    return FactorDelta(
        {name: (torch.randn(out, 3, generator=generator), torch.randn(3, width, generator=generator) / 8)}
    )


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


def on_disk(
    directory: Path, kind: str, dtype: torch.dtype, shard: str = "5GB"
) -> tuple[LoadedModel, str, tuple[int, int]]:
    """The same model with its files in ``directory``."""
    loaded, name, shape = loaded_model(kind, dtype)
    loaded.model.save_pretrained(directory, max_shard_size=shard)
    loaded.tokenizer.save_pretrained(directory)
    return replace(loaded, directory=directory), name, shape


def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not copied fails."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("written anew")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", refuse)


@pytest.mark.parametrize("shard", ["5GB", "5KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["llama", "tied llama", "gpt2"])
def test_the_bases_files_are_copied_and_patched(
    tmp_path: Path, monkeypatch, kind: str, dtype: torch.dtype, shard: str
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


@pytest.mark.parametrize("other", ["dtype", "weights"])
def test_files_that_are_not_the_loaded_weights_are_not_copied(tmp_path: Path, other: str) -> None:
    loaded, name, shape = on_disk(tmp_path / "base", "llama", torch.float32)
    if other == "dtype":
        loaded = replace(loaded, model=loaded.model.to(torch.bfloat16))
    else:
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
