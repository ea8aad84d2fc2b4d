"""The evidence of scale, on a small ledger and a small model."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.model.quiet import quiet
from tests.evidence.scale.offload import ASKED, FACTS, one_run
from tests.evidence.scale.plan import measure_plan
from tests.support.families import random_model, tokenizer


def test_a_plan_holds_as_many_facts_as_were_asked_for() -> None:
    document = measure_plan(100, 300)
    figures = {figure["name"]: figure for figure in document["figures"]}
    assert figures["plan.facts@100"]["value"] == 100
    assert figures["plan.peak_bytes@100"]["holds"]
    assert figures["plan.facts@100of300"]["value"] == 100


def test_an_offloaded_model_gives_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra offload")
    with quiet():
        random_model("llama").save_pretrained(tmp_path / "model")
        tokenizer().save_pretrained(tmp_path / "model")
    order = {"model": str(tmp_path / "model"), "dtype": "float32", "cache": str(tmp_path / "cache")}
    whole, offloaded = (one_run(order | {"offload": offload}) for offload in (False, True))
    assert whole["answers"] == offloaded["answers"]
    assert len(whole["answers"]) == 3 * ASKED + FACTS
