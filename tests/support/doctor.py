"""``kbsync doctor`` in tests: what it printed, a disk with free space, and a real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from tests.support.tiny_model import byte_level_tokenizer, tiny_config


@pytest.fixture(autouse=True)
def enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.operations.checks.machine.LITTLE_SPACE", 0)
    monkeypatch.setattr("kbsync.operations.checks.machine.TOO_LITTLE_SPACE", 0)


def levels(result: Any) -> dict[str, str]:
    return {check["name"]: check["level"] for check in result.json["checks"]}


def check(result: Any, name: str) -> dict[str, Any]:
    return next(c for c in result.json["checks"] if c["name"] == name)


def with_model(cli: Any, directory: Path) -> None:
    """Configure a real model, tiny and untrained."""
    tokenizer = byte_level_tokenizer(["The capital of France is Paris."])
    LlamaForCausalLM(tiny_config(len(tokenizer))).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    text = cli.config.read_text(encoding="utf-8").replace('reference = "table"', f'reference = "{directory}"')
    cli.config.write_text(text, encoding="utf-8")
