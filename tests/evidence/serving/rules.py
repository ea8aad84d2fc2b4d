"""The engines' rules for adapters on those of the demonstration."""

from __future__ import annotations

from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.model.gguf_layout import read_layout
from tests.evidence.serving.forms import Version, adapter, exported
from tests.support.adapter_rules import broken, llama_rules, peft_rules

NAME = "google/gemma-3-270m"


def broken_rules(version: Version) -> list[str]:
    """The rules that don't hold."""
    directory = exported(version, "rules", ExportForm(format="lora", base_name=NAME))
    return broken(peft_rules(directory, NAME)) + broken(
        llama_rules(adapter(version, "gguf-lora.f16"), read_layout(version.base))
    )
