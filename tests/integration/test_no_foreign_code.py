"""Nothing that comes from outside is run: no pickle is read, no model brings code, nothing is evaluated."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from kbsync.domain.errors import ModelError
from kbsync.model.load import load
from tests.support.paths import ROOT
from tests.support.tiny_model import byte_level_tokenizer, tiny_config

FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "telnetlib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "torch.save"}


def sources() -> list[Path]:
    return sorted([*(ROOT / "kbsync").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")])


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with its dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str, object]:
    return {k.arg: getattr(k.value, "value", k.value) for k in call.keywords if k.arg}


def test_no_module_reads_pickles() -> None:
    assert len(sources()) > 100
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.partition(".")[0] for n in names} & FORBIDDEN_MODULES, path


def test_nothing_is_evaluated_and_no_shell_is_asked() -> None:
    for path in sources():
        for name, call in calls(path):
            where = f"{path}:{call.lineno}: {name}"
            assert name not in FORBIDDEN_CALLS, where
            assert not keywords(call).get("shell"), where
            assert not keywords(call).get("allow_pickle"), where
            if name.endswith("torch.load") or name == "torch.load":
                assert keywords(call).get("weights_only") is True, where


def test_every_model_and_tokenizer_is_loaded_without_its_own_code() -> None:
    found = [(path, call) for path in sources() for name, call in calls(path) if name.endswith(".from_pretrained")]
    assert len(found) >= 3
    for path, call in found:
        assert keywords(call).get("trust_remote_code") is False, f"{path}:{call.lineno}"


class Marks:
    """Unpickled, it makes a file: the proof that a pickle was read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    tokenizer = byte_level_tokenizer(["The capital of France is Paris."])
    LlamaForCausalLM(tiny_config(len(tokenizer))).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def test_a_pickled_model_is_refused_unread(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Marks(tmp_path / "ran")))
    with pytest.raises(ModelError, match="only as pickle"):
        load(str(model), cache_dir=tmp_path / "cache", device="cpu", dtype="float32")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_beside_the_weights_is_not_read(model: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (model / name).write_bytes(pickle.dumps(Marks(tmp_path / "ran")))
    loaded = load(str(model), cache_dir=tmp_path / "cache", device="cpu", dtype="float32")
    assert all(torch.isfinite(p).all() for p in loaded.model.parameters())
    assert not (tmp_path / "ran").exists()


def test_a_model_s_own_code_is_not_run(model: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (model / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n", encoding="utf-8")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoConfig": "modeling_own.Own", "AutoModelForCausalLM": "modeling_own.Own"}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    loaded = load(str(model), cache_dir=tmp_path / "cache", device="cpu", dtype="float32")
    assert type(loaded.model) is LlamaForCausalLM
    config |= {"model_type": "own", "architectures": ["Own"]}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError):
        load(str(model), cache_dir=tmp_path / "cache", device="cpu", dtype="float32")
    assert not marker.exists()
