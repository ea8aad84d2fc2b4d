from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration, modeling_utils

from kbsync.domain.errors import ModelError
from kbsync.model.load import LoadedModel, load
from kbsync.model.quiet import quiet
from tests.support.random_models import random_model, saved


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("llama", tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(original, tmp_path / "model"))


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., LoadedModel]:
    def run(reference: Path | str, **options: str) -> LoadedModel:
        return load(str(reference), cache_dir=tmp_path / "cache", **options)  # type: ignore[arg-type]

    return run


Loader = Callable[..., LoadedModel]


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_directory_loads_ready_for_answers(original: Path, loaded: Loader, capfd: pytest.CaptureFixture[str]) -> None:
    found = loaded(original)
    assert not found.model.training
    assert not any(p.requires_grad for p in found.model.parameters())
    assert {p.dtype for p in found.model.parameters()} == {torch.float32}
    assert found.tokenizer.is_fast
    assert (found.reference, found.directory) == (str(original), original)
    expected = random_model("llama")[0].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.model.state_dict().items())
    assert capfd.readouterr() == ("", "")


def test_other_precisions_can_be_asked_for(original: Path, loaded: Loader) -> None:
    found = loaded(original, dtype="bfloat16", device="cpu")
    assert {p.dtype for p in found.model.parameters()} == {torch.bfloat16}
    assert found.fingerprint != loaded(original).fingerprint


@pytest.mark.parametrize(("dtype", "backend"), [("float32", "mmap"), ("bfloat16", "pread")])
def test_a_file_of_another_dtype_is_read_and_not_mapped(
    original: Path, loaded: Loader, monkeypatch: pytest.MonkeyPatch, dtype: str, backend: str
) -> None:
    asked, real = [], modeling_utils.safe_open

    def spy(*args: object, **options: object) -> object:
        asked.append(options["backend"])
        return real(*args, **options)

    monkeypatch.setattr(modeling_utils, "safe_open", spy)
    found = loaded(original, dtype=dtype)
    assert asked == [backend]
    assert modeling_utils.safe_open is spy
    expected = random_model("llama")[0].state_dict()
    assert all(torch.equal(value, expected[n].to(value.dtype)) for n, value in found.model.state_dict().items())


def test_shards_load_like_one_file(original: Path, tmp_path: Path, loaded: Loader) -> None:
    sharded = saved("llama", tmp_path / "sharded", max_shard_size="200KB")
    assert not (sharded / "model.safetensors").exists()
    one, many = loaded(original).model.state_dict(), loaded(sharded).model.state_dict()
    assert all(torch.equal(one[name], many[name]) for name in one)
    next(sharded.glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"weights that are not there: model-0"):
        loaded(sharded)


def test_a_damaged_digest_cache_is_made_again(original: Path, loaded: Loader, tmp_path: Path) -> None:
    before = loaded(original).fingerprint
    (tmp_path / "cache" / "digests.json").write_text("{ no")
    assert loaded(original).fingerprint == before
    assert json.loads((tmp_path / "cache" / "digests.json").read_text())


def truncate(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def drop_parameter(directory: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.down_proj.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def eight_bits(directory: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(directory / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def only_pickle(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def slow_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (truncate, "can't be loaded"),
    (drop_parameter, r"lacks 1 of the model's parameters, the first is model\.layers\.1\.mlp\.down_proj\.weight"),
    (only_pickle, r"only as pickle \(pytorch_model\.bin\)"),
    (lambda d: (d / "model.safetensors").unlink(), r"holds no model\.safetensors"),
    (lambda d: (d / "config.json").unlink(), r"config\.json can't be read"),
    (lambda d: (d / "config.json").write_text("{"), r"config\.json is not JSON"),
    (lambda d: (d / "config.json").write_text("[]"), r"config\.json holds no JSON object"),
    (lambda d: edit_json(d / "config.json", model_type="unheard-of"), "can't be loaded.*unheard-of"),
    (lambda d: edit_json(d / "config.json", quantization_config={"quant_method": "gptq"}), r"quantised \(gptq\)"),
    (lambda d: edit_json(d / "config.json", num_hidden_layers=10**7), "num_hidden_layers = 1"),
    (lambda d: edit_json(d / "config.json", num_hidden_layers="4"), "can't be loaded"),
    (lambda d: edit_json(d / "config.json", hidden_size=-3), "can't be loaded"),
    (lambda d: edit_json(d / "config.json", hidden_act=5), "can't be loaded"),
    (lambda d: edit_json(d / "config.json", vocab_size=10**8), "describes a larger model"),
    (lambda d: edit_json(d / "config.json", num_hidden_layers=9_000), "describes a larger model"),
    (lambda d: (d / "config.json").write_text('{"a":' * 100_000), "nested too deeply"),
    (lambda d: (d / "adapter_config.json").write_text("{}"), "holds an adapter"),
    (eight_bits, r"quantised \(model\.layers\.0\.mlp\.down_proj\.weight is stored as F8_E4M3\)"),
    (lambda d: (d / "tokenizer.json").write_text('{"version": 3}'), "tokenizer of .* can't be read"),
    (slow_tokenizer, r"slow tokenizer \(ByT5Tokenizer\)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message[:30] for _, message in DAMAGES])
def test_a_damaged_directory_is_refused_by_name(
    damage: Callable[[Path], object], message: str, directory: Path, loaded: Loader
) -> None:
    damage(directory)
    with pytest.raises(ModelError, match=message) as caught:
        loaded(directory)
    assert str(directory) in caught.value.what
    assert caught.value.next_step


def test_only_causal_language_models_load(directory: Path, loaded: Loader) -> None:
    small = {"vocab_size": 99, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = BertForMaskedLM(BertConfig(**small, hidden_size=16, intermediate_size=16))
    t5 = T5ForConditionalGeneration(T5Config(vocab_size=99, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    for model, name in ((bert, "BertForMaskedLM"), (t5, "T5ForConditionalGeneration")):
        with quiet():
            model.save_pretrained(directory)
        with pytest.raises(ModelError, match=f"not a causal language model but {name}"):
            loaded(directory)


def test_unknown_dtypes_and_devices_are_refused(original: Path, loaded: Loader) -> None:
    with pytest.raises(ModelError, match="'int8' is not a dtype"):
        loaded(original, dtype="int8")
    with pytest.raises(ModelError, match="no device 'abacus'"):
        loaded(original, device="abacus")
