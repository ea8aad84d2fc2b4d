"""The engines' own rules for adapters, each with its source and version, checked on what kbsync writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from kbsync.checkpoints.exporters.form import VLLM_RANKS
from kbsync.model.gguf_layout import GgufLayout, library

_TENSOR = re.compile(r"base_model\.model\.(model\..+|transformer\..+)\.lora_([AB])\.weight\Z")
Rule = tuple[str, Callable[[], bool]]


def peft_rules(directory: Path, base_name: str) -> list[Rule]:
    """What PEFT, vLLM and SGLang read of a PEFT adapter."""
    config: dict[str, Any] = json.loads((directory / "adapter_config.json").read_text())
    with safe_open(directory / "adapter_model.safetensors", "np") as stored:
        shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    modules = {match.group(1) for name in shapes if (match := _TENSOR.match(name))}
    ranks = {shape[0 if ".lora_A." in name else 1] for name, shape in shapes.items()}
    off = ("use_dora", "use_rslora", "modules_to_save")

    def peft() -> bool:
        from peft import PeftConfig

        read = PeftConfig.from_pretrained(str(directory))
        return bool(read.peft_type == "LORA" and read.base_model_name_or_path == base_name)

    return [
        ("peft 0.21, PeftConfig.from_pretrained: it reads the configuration and names the base", peft),
        ("vllm 0.33, lora/peft_helper.py: r, lora_alpha and target_modules are there",
         lambda: {"r", "lora_alpha", "target_modules"} <= config.keys()),
        ("vllm 0.33, lora/peft_helper.py: no bias, no DoRA, no modules_to_save",
         lambda: config["bias"] == "none" and not any(config.get(name) for name in off)),
        ("vllm 0.33, config/lora.py MaxLoRARanks: some --max-lora-rank fits", lambda: config["r"] <= VLLM_RANKS[-1]),
        ("vllm before 0.33, sglang: r and alpha are those of every matrix, and nothing stands in patterns",
         lambda: ranks == {config["r"]} and config["lora_alpha"] == config["r"]
         and not config.get("rank_pattern") and not config.get("alpha_pattern")),
        ("vllm 0.33, lora/utils.py parse_fine_tuned_lora_name: every tensor's name is understood",
         lambda: bool(shapes) and all(_TENSOR.match(name) for name in shapes)),
        ("vllm 0.33, lora/lora_model.py: A and B are there of every target module",
         lambda: modules == set(config["target_modules"]) and len(shapes) == 2 * len(modules)),
        ("vllm 0.33, plugins/lora_resolvers/filesystem_resolver.py: the base's name is the served one",
         lambda: config["base_model_name_or_path"] == base_name),
        ("sglang 0.5, lora/utils.py get_normalized_target_modules: the last parts of the names are modules that it has",
         lambda: {name.rsplit(".", 1)[-1] for name in config["target_modules"]} <= {"down_proj", "c_proj"}),
    ]  # fmt: skip


def llama_rules(adapter: Path, base: GgufLayout) -> list[Rule]:
    """What ``src/llama-adapter.cpp`` of llama.cpp b11549 demands of an adapter."""
    reader = library().GGUFReader(adapter)
    text = {
        name: bytes(field.parts[field.data[0]]).decode()
        for name, field in reader.fields.items()
        if field.types and field.types[-1].name == "STRING" and len(field.data) == 1
    }
    alpha = float(reader.fields["adapter.lora.alpha"].parts[-1][0])
    shapes = {tensor.name: tuple(int(n) for n in tensor.shape) for tensor in reader.tensors}
    stems = {name.rpartition(".")[0] for name in shapes}
    here = {tensor.name: tensor.shape[::-1] for tensor in base.tensors}
    where = "llama.cpp b11549, llama-adapter.cpp: "
    return [
        (where + "general.type is adapter", lambda: text.get("general.type") == "adapter"),
        (where + "adapter.type is lora", lambda: text.get("adapter.type") == "lora"),
        (where + "the architecture is the base's", lambda: text["general.architecture"] == base.architecture),
        (where + "each tensor has its a and its b",
         lambda: set(shapes) == {f"{stem}.{part}" for stem in stems for part in ("lora_a", "lora_b")}),
        (where + "the base has each tensor", lambda: bool(stems) and stems <= here.keys()),
        (where + "the shapes fit the base's",
         lambda: all(shapes[f"{s}.lora_a"][0] == here[s][0] and shapes[f"{s}.lora_b"][1] == here[s][1]
                     and shapes[f"{s}.lora_a"][1] == shapes[f"{s}.lora_b"][0] for s in stems)),
        (where + "alpha is the rank of every pair, so that the scale is 1",
         lambda: {shapes[f"{s}.lora_b"][0] for s in stems} == {int(alpha)} and np.isfinite(alpha)),
    ]  # fmt: skip


def broken(rules: list[Rule]) -> list[str]:
    """The rules that don't hold."""
    return [name for name, holds in rules if not holds()]
