"""Versions as GGUF files, loaded by a real llama.cpp: it answers as kbsync does."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.checkpoints.exporters.form import ExportForm, server_rank
from kbsync.checkpoints.exporters.write import write_export
from kbsync.domain.errors import EditError, ModelError, StoreError
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.gguf_layout import mapped, read_layout
from kbsync.model.load import LoadedModel, load
from tests.support.adapter_rules import broken, llama_rules, peft_rules
from tests.support.gguf_file import write_gguf
from tests.support.llama_server import completion, first_logprobs, llama_server
from tests.support.random_models import SENTENCES, random_model, saved

ABOUT = {"version": 3, "version_hash": "h" * 64}
PROMPTS = [" ".join(sentence.split()[:3]) for sentence in SENTENCES[:3]]


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, tokenizer = random_model("llama")
    return write_gguf(model, tokenizer, tmp_path_factory.mktemp("base") / "base.gguf")


@pytest.fixture(scope="module")
def loaded(base_file: Path) -> LoadedModel:
    """A base that came as GGUF."""
    return load(str(base_file), cache_dir=base_file.parent / "cache", device="cpu")


def change(model: PreTrainedModel, *ranks: int) -> FactorDelta:
    """A change that other answers come from: one matrix a layer, of these ranks."""
    draw = torch.Generator().manual_seed(5)
    factors = {}
    for layer, rank in enumerate(ranks):
        name = f"model.layers.{layer}.mlp.down_proj.weight"
        out, width = model.get_parameter(name).shape
        left = torch.randn(out, rank, generator=draw) * 4
        factors[name] = left, torch.randn(rank, width, generator=draw) / 16
    return FactorDelta(factors)


def expected(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, delta: FactorDelta
) -> list[tuple[str, torch.Tensor]]:
    """By prompt: what the version says, and the log-probabilities of its first token."""
    said = []
    with applied(model, delta), torch.no_grad():
        for prompt in PROMPTS:
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            tokens = model.generate(ids, max_new_tokens=4, do_sample=False)[0, ids.shape[1] :]
            said.append((tokenizer.decode(tokens), model(ids).logits[0, -1].log_softmax(-1)))
    return said


def furthest(url: str, wanted: Sequence[tuple[str, torch.Tensor]]) -> float:
    """The largest difference of a log-probability; where they are the same, so are the greedy answers."""
    return max(
        abs(float(logprobs[token]) - found)
        for prompt, (_, logprobs) in zip(PROMPTS, wanted, strict=True)
        for token, found in first_logprobs(url, prompt).items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("type", ["f32", "f16", "q8_0"])
def test_llama_cpp_answers_as_the_version_with_either_file(
    loaded: LoadedModel, base_file: Path, tmp_path: Path, type: str
) -> None:
    delta = change(loaded.model, 3, 5)
    wanted = expected(loaded.model, loaded.tokenizer, delta)
    allowed = 0.2 if type == "q8_0" else 0.02
    with llama_server(base_file) as url:
        assert furthest(url, wanted) > 0.5, "the base answers otherwise"
    adapter = write_export(loaded, delta, tmp_path / "lora", ExportForm(format="gguf-lora", type=type), ABOUT)
    assert (adapter.rank, adapter.warnings) == (32 if type == "q8_0" else 5, ())
    with llama_server(base_file, [tmp_path / "lora" / "adapter.gguf"]) as url:
        assert furthest(url, wanted) < allowed
    whole = write_export(loaded, delta, tmp_path / "whole", ExportForm(format="gguf", type=type), ABOUT)
    assert whole.warnings == ()
    with llama_server(tmp_path / "whole" / "model.gguf") as url:
        assert furthest(url, wanted) < allowed
        if type == "f32":
            assert [completion(url, prompt, 4) for prompt in PROMPTS] == [text for text, _ in wanted]


def test_all_but_the_edited_tensors_is_the_same_bytes(loaded: LoadedModel, base_file: Path, tmp_path: Path) -> None:
    write_export(loaded, change(loaded.model, 2), tmp_path / "out", ExportForm(format="gguf", type="f16"), ABOUT)
    before, after = read_layout(base_file), read_layout(tmp_path / "out" / "model.gguf")
    with mapped(before.file) as old, mapped(after.file) as new:
        assert new[: after.pairs_end] == old[: before.pairs_end]
        for was, now in zip(before.tensors, after.tensors, strict=True):
            same = was.kind == now.kind and old[was.offset : was.offset + was.size] == new[now.offset :][: now.size]
            assert (was.name, was.shape) == (now.name, now.shape)
            assert same != (was.name == "blk.0.ffn_down.weight"), was.name
    record = json.loads((tmp_path / "out" / "kbsync.json").read_text())
    assert (record["format"], record["type"], record["version"]) == ("gguf", "f16", 3)
    digest = hashlib.sha256((tmp_path / "out" / "model.gguf").read_bytes()).hexdigest()
    assert record["files"]["model.gguf"] == digest


def test_the_base_itself_is_its_own_file(loaded: LoadedModel, base_file: Path, tmp_path: Path) -> None:
    write_export(loaded, FactorDelta({}), tmp_path / "out", ExportForm(format="gguf"), {"version": 0})
    assert (tmp_path / "out" / "model.gguf").read_bytes() == base_file.read_bytes()


@pytest.mark.slow
def test_a_base_that_came_as_safetensors(base_file: Path, tmp_path: Path) -> None:
    loaded = load(str(saved("llama", tmp_path / "base")), cache_dir=tmp_path / "cache", device="cpu")
    delta = change(loaded.model, 3)
    wanted = expected(loaded.model, loaded.tokenizer, delta)
    write_export(loaded, delta, tmp_path / "lora", ExportForm(format="gguf-lora"), ABOUT)
    with llama_server(base_file, [tmp_path / "lora" / "adapter.gguf"]) as url:
        assert furthest(url, wanted) < 0.02
    with pytest.raises(ModelError, match="came as safetensors"):
        write_export(loaded, delta, tmp_path / "none", ExportForm(format="gguf"), ABOUT)
    named = ExportForm(format="gguf", gguf=base_file)
    assert write_export(loaded, delta, tmp_path / "named", named, ABOUT).warnings == ()
    with llama_server(tmp_path / "named" / "model.gguf") as url:
        assert furthest(url, wanted) < 0.02


def quantised(file: Path, target: Path) -> Path:
    """The same model with its matrices rounded to Q4_0."""
    import gguf

    reader, writer = gguf.GGUFReader(file), gguf.GGUFWriter(target, "llama")
    writer.add_block_count(4)
    for tensor in reader.tensors:
        values, kind = np.array(tensor.data), gguf.GGMLQuantizationType.F32
        if values.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q4_0
            values = gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor.name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_another_quantisation_is_recognised(loaded: LoadedModel, base_file: Path, tmp_path: Path) -> None:
    coarse = quantised(base_file, tmp_path / "q4_0.gguf")
    for form in ("gguf", "gguf-lora"):
        told = write_export(
            loaded, change(loaded.model, 2), tmp_path / form, ExportForm(format=form, gguf=coarse), ABOUT
        )
        (warning,) = told.warnings
        assert "another quantisation" in warning and "Q4_0" in warning
        assert json.loads((tmp_path / form / "kbsync.json").read_text())["warnings"] == [warning]


def test_another_model_is_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    other = write_gguf(*random_model("llama", seed=1), tmp_path / "other.gguf")
    for form in ("gguf", "gguf-lora"):
        with pytest.raises(EditError, match="does not hold"):
            write_export(loaded, change(loaded.model, 2), tmp_path / "x", ExportForm(format=form, gguf=other), ABOUT)
    assert not (tmp_path / "x").exists()


def test_files_that_are_no_whole_gguf_are_refused(loaded: LoadedModel, base_file: Path, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.gguf", tmp_path / "text.gguf"
    cut.write_bytes(base_file.read_bytes()[:-100])
    text.write_text("not at all")
    for file in (cut, text, tmp_path / "missing.gguf"):
        with pytest.raises(ModelError, match=file.name):
            write_export(loaded, change(loaded.model, 2), tmp_path / "x", ExportForm(format="gguf", gguf=file), ABOUT)
    assert not (tmp_path / "x").exists()


def test_numbers_beyond_half_precision_are_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    left, right = change(loaded.model, 1).factors[name]
    huge = FactorDelta({name: (left * 1e4, right * 1e3)})
    with pytest.raises(EditError, match="f16 can't hold"):
        write_export(loaded, huge, tmp_path / "x", ExportForm(format="gguf"), ABOUT)
    assert not (tmp_path / "x").exists()
    write_export(loaded, huge, tmp_path / "y", ExportForm(format="gguf", type="bf16"), ABOUT)


def test_a_full_disk_leaves_nothing(loaded: LoadedModel, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match="Exporting to"):
            write_export(loaded, change(loaded.model, 2), tmp_path / "x", ExportForm(format="gguf"), ABOUT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_the_rank_that_a_server_must_allow() -> None:
    assert [server_rank(rank) for rank in (1, 9, 109, 512, 513)] == [1, 16, 128, 512, None]


def test_adapters_keep_the_engines_own_rules(loaded: LoadedModel, base_file: Path, tmp_path: Path) -> None:
    delta = change(loaded.model, 3, 5)
    name = ExportForm(format="lora", base_name="somebody/base")
    write_export(loaded, delta, tmp_path / "lora", name, ABOUT)
    write_export(loaded, delta, tmp_path / "gguf", ExportForm(format="gguf-lora"), ABOUT)
    assert broken(peft_rules(tmp_path / "lora", "somebody/base")) == []
    assert broken(llama_rules(tmp_path / "gguf" / "adapter.gguf", read_layout(base_file))) == []
    config = tmp_path / "lora" / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 5', '"lora_alpha": 3'))
    assert len(broken(peft_rules(tmp_path / "lora", "another/base"))) == 3, "the rules see what is wrong"
