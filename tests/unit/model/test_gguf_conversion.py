from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kbsync.domain.errors import ModelError
from kbsync.model.chat import chat_frame, read_chat_template
from kbsync.model.gguf_conversion import convert
from kbsync.model.load import load
from tests.support.chat_tokenizer import FRAME, TEMPLATE
from tests.support.gguf_file import write_gguf
from tests.support.random_models import random_model

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the package gguf is not installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(*random_model("llama"), tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def directories(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.is_dir())


@needs_gguf
def test_what_is_saved_needs_no_gguf_and_holds_the_same_weights(file: Path, tmp_path: Path) -> None:
    model, tokenizer = random_model("llama")
    convert(file, tmp_path)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    assert all(torch.equal(saved[name], weight) for name, weight in model.state_dict().items())
    text = "The river rises"
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.mark.slow
@needs_gguf
def test_the_chat_template_is_saved_with_the_tokenizer(tmp_path: Path) -> None:
    model, tokenizer = random_model("llama")
    instruct = copy.deepcopy(tokenizer)
    instruct.chat_template = TEMPLATE
    convert(write_gguf(model, instruct, tmp_path / "tiny.gguf"), tmp_path / "converted")
    stored = read_chat_template(tmp_path / "converted")
    assert stored is not None and (stored.source, stored.adds_bos) == (TEMPLATE, True)
    assert chat_frame(stored) == FRAME
    convert(write_gguf(model, tokenizer, tmp_path / "plain.gguf"), tmp_path / "plain")
    assert read_chat_template(tmp_path / "plain") is None


@needs_gguf
def test_a_damaged_file_is_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    damaged = {"text": b"not gguf at all", "head": whole[:5000], "tail": whole[:-1000], "none": b""}
    for name, data in ((f"{name}.gguf", data) for name, data in damaged.items()):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=f"{name} can't be read as GGUF"):
            load(str(tmp_path / name), cache_dir=tmp_path / "cache")
    assert directories(tmp_path / "cache") == []


@pytest.mark.slow
@needs_gguf
def test_a_file_without_one_parameter_is_refused(tmp_path: Path) -> None:
    name = "model.layers.2.mlp.down_proj.weight"
    file = write_gguf(*random_model("llama"), tmp_path / "gap.gguf", without=name)
    with pytest.raises(ModelError, match=f"lacks 1 of the model's parameters, the first is {name}"):
        load(str(file), cache_dir=tmp_path / "cache")
    assert directories(tmp_path / "cache") == []


@needs_gguf
def test_a_file_that_counts_more_blocks_than_it_has_tensors_is_refused(file: Path, tmp_path: Path) -> None:
    key, whole = b"llama.block_count\x04\0\0\0", file.read_bytes()
    at = whole.index(key) + len(key)
    (tmp_path / "huge.gguf").write_bytes(whole[:at] + (10**7).to_bytes(4, "little") + whole[at + 4 :])
    with pytest.raises(ModelError, match=r"says llama\.block_count = 10000000, and it has \d+ tensors"):
        convert(tmp_path / "huge.gguf", tmp_path / "converted")
