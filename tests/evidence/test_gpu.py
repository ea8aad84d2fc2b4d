"""The script for GPUs, with the CPU as the device: the same work twice gives the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kbsync.domain.errors import ModelError
from kbsync.model.load import load
from kbsync.model.quiet import quiet
from tests.evidence import gpu
from tests.evidence.gpu import measure_gpu
from tests.support.families import random_model, tokenizer
from tests.support.pretended_device import DEVICE, placed, plain_attention, pretended_device


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gpu") / "model"
    with quiet():
        random_model("llama").save_pretrained(directory)
        tokenizer().save_pretrained(directory)
    return directory


def test_a_device_that_is_the_cpu_gives_the_same(small: Path, tmp_path: Path) -> None:
    said: list[str] = []
    document = measure_gpu(str(small), "cpu", "float32", tmp_path, count=3, tokens=1_000, say=said.append)
    figures = {figure["name"]: figure for figure in document["figures"]}
    for name in ("parity.scores", "parity.covariance", "parity.delta"):
        assert figures[name]["value"] == 0 and figures[name]["holds"], name
    assert figures["parity.answers"]["value"] == figures["parity.edited_answers"]["value"] == 1
    assert {"speed.asking", "speed.covariance", "speed.edit", "device.peak_bytes"} <= set(figures)
    assert [line.split(":")[0] for line in said] == ["cpu", "cpu"]


def test_a_device_that_is_pretended_gives_the_same(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded before the device is there: transformers loads onto torch's meta device, which stands for this one."""
    loaded = {name: load(str(small), cache_dir=tmp_path, device="cpu") for name in ("cpu", str(DEVICE))}
    monkeypatch.setattr(gpu, "load", lambda _reference, *, device, **_rest: loaded[device])
    with plain_attention(), pretended_device():
        placed(loaded[str(DEVICE)].model)
        document = measure_gpu(str(small), str(DEVICE), "float32", tmp_path, count=2, tokens=500, say=lambda _: None)
    figures = {figure["name"]: figure["value"] for figure in document["figures"]}
    assert {figures[f"parity.{name}"] for name in ("scores", "covariance", "delta")} == {0}
    assert figures["parity.answers"] == figures["parity.edited_answers"] == 1
    assert document["device"] == str(DEVICE)


def test_in_bfloat16_nothing_is_judged_by_the_bounds_of_float32(small: Path, tmp_path: Path) -> None:
    document = measure_gpu(str(small), "cpu", "bfloat16", tmp_path, count=3, tokens=1_000, say=lambda _: None)
    targets = {figure["name"]: figure["target"] for figure in document["figures"]}
    assert targets["parity.delta"] is None and targets["parity.answers"] is not None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_named(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cuda"):
        measure_gpu(str(small), "cuda", "float32", tmp_path, count=3, tokens=1_000, say=lambda _: None)
