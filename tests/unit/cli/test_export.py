"""`kbsync export`: plain transformers and PEFT answer as the version does, with no kbsync in between."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from kbsync.model.delta import applied
from tests.support.site import MakeSite, Site, fact


def prompts(count: int = 100) -> list[str]:
    draw = random.Random(7)
    return ["".join(draw.choices("abcdefghij klmnop,.", k=draw.randrange(5, 40))) for _ in range(count)]


def logits(model: PreTrainedModel, tokenizer: object) -> list[Tensor]:
    with torch.no_grad():
        return [model(**tokenizer(p, return_tensors="pt")).logits for p in prompts()]  # type: ignore[operator]


def furthest(some: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(some, others, strict=True))


@contextmanager
def version(site: Site, number: int) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """What the version answers, and what the base does."""
    with site.app() as app:
        loaded, (_, delta) = app.loaded, app.store.read(site.version_hash(number))
        base = logits(loaded.model, loaded.tokenizer)
        with applied(loaded.model, delta):
            yield logits(loaded.model, loaded.tokenizer), base


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_both_exports_answer_as_the_version_on_100_prompts(
    new_site: MakeSite, tmp_path: Path, architecture: str
) -> None:
    site = new_site(tmp_path / "site", architecture)
    site.build(fact(1, "Paris"), fact(2, "Oslo"), fact(3, "Rome"))
    told = site.good("export", "1", str(tmp_path / "hf"), "--json").json
    adapter = site.good("export", "1", str(tmp_path / "lora"), "--format", "lora", "--json").json
    assert (told["version"], told["format"], told["matrices"]) == (1, "hf", [])
    assert adapter["format"] == "lora" and all(m["rank"] == m["full_rank"] for m in adapter["matrices"])
    assert all(m["relative_loss"] == 0 for m in adapter["matrices"])
    with version(site, 1) as (expected, base):
        assert furthest(expected, base) > 1e-3
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
        assert furthest(logits(plain, AutoTokenizer.from_pretrained(tmp_path / "hf")), expected) <= 1e-5
        config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
        unedited = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"]).eval()
        tokenizer = AutoTokenizer.from_pretrained(config["base_model_name_or_path"])
        with_adapter = PeftModel.from_pretrained(unedited, tmp_path / "lora").eval()
        assert furthest(logits(with_adapter, tokenizer), expected) <= 1e-5
        with with_adapter.disable_adapter():
            assert furthest(logits(with_adapter, tokenizer), base) <= 1e-5
    for directory, form in ((tmp_path / "hf", "hf"), (tmp_path / "lora", "lora")):
        about = json.loads((directory / "kbsync.json").read_text())
        assert about["format"] == form and about["version_hash"] == site.version_hash(1)
        assert not [p for p in directory.rglob("*") if p.suffix in {".bin", ".pt", ".pkl"}]
        assert directory.stat().st_mode & 0o055, "a server that runs as somebody else may read it"


@pytest.mark.slow
def test_a_truncated_adapter_says_what_is_lost(built: Site, tmp_path: Path) -> None:
    cut = ("--format", "lora", "--rank", "1")
    assert built("export", "1", str(tmp_path / "one"), *cut).code == 66, "nobody measured what it would lose"
    told = built.good("export", "1", str(tmp_path / "one"), *cut, "--override", "a trial", "--json").json
    with built.app() as app:
        _, delta = app.store.read(built.version_hash(1))
    about = json.loads((tmp_path / "one" / "kbsync.json").read_text())
    assert about["matrices"] == told["matrices"]
    for matrix in told["matrices"]:
        left, right = delta.factors[matrix["parameter"]]
        singular = torch.linalg.svdvals(left.double() @ right.double())
        best = float(singular[1:].norm() / singular.norm())
        assert matrix["rank"] == 1 < matrix["full_rank"]
        assert 0 < best == pytest.approx(matrix["relative_loss"], rel=1e-4), "Eckart and Young's bound is met"
    assert "relative loss" in built.good("export", "1", str(tmp_path / "x"), *cut, "--override", "a trial").out


@pytest.mark.slow
@pytest.mark.parametrize("form", ["hf", "lora"])
def test_numbers_are_rounded_where_that_is_wanted(built: Site, tmp_path: Path, form: str) -> None:
    out = tmp_path / form
    built.good("export", "1", str(out), "--format", form, "--dtype", "bfloat16")
    name = "model.safetensors" if form == "hf" else "adapter_model.safetensors"
    assert {tensor.dtype for tensor in load_file(out / name).values()} == {torch.bfloat16}
    if form == "hf":
        assert AutoModelForCausalLM.from_pretrained(out, dtype="auto").dtype == torch.bfloat16
    record = json.loads((out / "kbsync.json").read_text())
    assert record["files"][name] == hashlib.sha256((out / name).read_bytes()).hexdigest()
    assert built("export", "1", str(tmp_path / "x"), "--format", "gguf", "--dtype", "bfloat16").code == 2


@pytest.mark.parametrize("form", ["hf", "lora", "gguf-lora"])
def test_a_model_card_says_what_it_is(built: Site, tmp_path: Path, form: str) -> None:
    built.good("export", "1", str(tmp_path / form), "--format", form)
    card = ModelCard.load(tmp_path / form / "README.md")
    assert card.data.library_name == {"hf": "transformers", "lora": "peft", "gguf-lora": "gguf"}[form]
    assert card.data.eval_results[0].metric_name == "efficacy"
    assert built.version_hash(1) in card.text and "| Q2 | P36 | Land 2 | Oslo | [100](https" in card.text
    assert "## Go back" in card.text and "check-served" in card.text
    assert "README.md" in json.loads((tmp_path / form / "kbsync.json").read_text())["files"]


@pytest.mark.slow
def test_what_is_refused(built: Site, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert built("export", "2", out).code == 66
    assert built("export", "1", out, "--rank", "2").code == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    for form in ("hf", "lora"):
        refused = built("export", "1", out, "--format", form)
        assert refused.code == 74 and "is there already" in refused.err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
    config = built.config.read_text()
    built.config.write_text(config.replace('device = "cpu"', 'device = "cpu"\ndtype = "bfloat16"'))
    other = built("export", "1", str(tmp_path / "other"))
    assert other.code == 65 and "another base" in other.err
