"""An exported adapter answers as the version does, for PEFT."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from kbsync.checkpoints.exporters.lora import export_lora
from kbsync.domain.errors import EditError, StoreError
from kbsync.model.delta import FactorDelta, applied
from tests.support.export_samples import IDS, loaded_model, make_delta


def test_ranks_that_differ_and_ranks_beyond_the_matrix(tmp_path: Path) -> None:
    loaded, name, shape = loaded_model("gpt2", torch.float32)
    other = name.replace(".1.", ".0.")
    draw = torch.Generator().manual_seed(3)
    wide = torch.randn(16, 40, generator=draw) / 16, torch.randn(40, 64, generator=draw) / 16
    delta = FactorDelta(dict(make_delta(name, shape).factors) | {other: wide})
    matrices = export_lora(loaded, delta, tmp_path / "out").matrices
    assert {m.parameter: (m.rank, m.full_rank) for m in matrices} == {name: (3, 3), other: (16, 16)}
    assert all(m.relative_loss < 1e-6 for m in matrices)
    with applied(loaded.model, delta):
        expected = loaded.model(IDS).logits
    with_adapter = PeftModel.from_pretrained(loaded.model, tmp_path / "out").eval()
    assert float((with_adapter(IDS).logits - expected).abs().max()) <= 1e-5


def test_an_adapter_for_another_model_is_refused(tmp_path: Path) -> None:
    loaded, _, _ = loaded_model("llama", torch.float32)
    with pytest.raises(EditError, match="no module"):
        export_lora(loaded, make_delta("model.layers.9.mlp.down_proj.weight", (16, 64)), tmp_path / "out")
    (tmp_path / "file").write_text("x")
    name = "model.layers.1.mlp.down_proj.weight"
    with pytest.raises(StoreError, match="is there already"):
        export_lora(loaded, make_delta(name, (16, 64)), tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("reference", "base"),
    [
        ("someone/model", "someone/model"),
        ("someone/model@0123abc", "someone/model"),
        ("package:some-model", "/models/base"),
        ("./models/base", "/models/base"),
        ("/models/base", "/models/base"),
        ("someone/model.gguf", "/models/base"),
    ],
)
def test_the_adapter_names_the_base_as_servers_find_it(tmp_path: Path, reference: str, base: str) -> None:
    loaded, name, shape = loaded_model("llama", torch.float32)
    loaded = replace(loaded, reference=reference, directory=Path("/models/base"))
    export_lora(loaded, make_delta(name, shape), tmp_path / "out", about={"version": 3})
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base
    record = json.loads((tmp_path / "out" / "kbsync.json").read_text())
    assert (record["format"], record["version"], len(record["matrices"])) == ("lora", 3, 1)
