"""The model card of an export: what was edited, how it measured, and how to load it and go back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbsync import __version__
from kbsync.domain.gate import Metric
from kbsync.domain.version import Manifest

FILE, BASE_FILE = "README.md", "BASE_README.md"
_FACTS = 1000
"""Number of facts that are listed."""
_LIBRARIES = {"hf": "transformers", "lora": "peft", "gguf": "gguf", "gguf-lora": "gguf"}
_RELATIONS = {"hf": "finetune", "lora": "adapter", "gguf": "quantized", "gguf-lora": "adapter"}
_WIKIDATA = "https://www.wikidata.org/w/index.php"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card tells beside the export itself."""

    manifest: Manifest
    number: int
    predecessor: int
    """The version that was current before; 0: the base."""
    metrics: Sequence[Metric] = ()
    """What the gate measured; empty: the version was not measured."""
    passed: bool | None = None
    """What the gate decided."""
    base: str = ""
    """The base's name."""


def write_card(directory: Path, facts: CardFacts, about: Mapping[str, Any], base_directory: Path | None) -> None:
    """Write ``README.md``, with metadata as the Hugging Face hub reads it.

    Args:
        directory: Holds the export.
        facts: What the card tells.
        about: What ``kbsync.json`` will say: format, type, rank, warnings.
        base_directory: Where the base's own card may lie, which names the licence.
    """
    if (directory / FILE).exists():  # the base's own card came with its other files
        (directory / FILE).rename(directory / BASE_FILE)
    (directory / FILE).write_text(card(facts, about, _licence(base_directory)), encoding="utf-8")


def card(facts: CardFacts, about: Mapping[str, Any], licence: str) -> str:
    """The text of a card."""
    from huggingface_hub import EvalResult, ModelCardData

    name = f"kbsync-{facts.number}"
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="wikidata",
            dataset_name="the gate's prompts",
            metric_type=metric.name,
            metric_name=metric.name,
            metric_value=round(metric.value, 6),
        )
        for metric in facts.metrics
    ]
    base = facts.base if facts.base and not facts.base.startswith(("/", ".")) else None
    data = ModelCardData(
        base_model=base,
        base_model_relation=_RELATIONS[about["format"]] if base else None,
        library_name=_LIBRARIES[about["format"]],
        license=licence or None,
        tags=["knowledge-editing", "kbsync", "wikidata"],
        model_name=name if results else None,
        eval_results=results or None,
    )
    parts = [f"---\n{data.to_yaml()}\n---", f"# {name}", _what(facts, about), _loading(facts, about), _back(facts)]
    return "\n\n".join([*parts, _figures(facts), _edited(facts)]) + "\n"


def _what(facts: CardFacts, about: Mapping[str, Any]) -> str:
    lines = [
        f"Version {facts.number} of a model that [kbsync](https://github.com/kbsync/kbsync) {__version__} keeps in "
        f"step with Wikidata: {len(facts.manifest.requests)} facts were edited into {facts.base or 'the base'} "
        f"({facts.manifest.recipe.algorithm}). The base's licence applies.",
        f"- version hash `{facts.manifest.version_hash}`",
        f"- base fingerprint `{facts.manifest.base_fingerprint}`",
    ]
    lines += [f"- **warning**: {warning}" for warning in about.get("warnings", ())]
    return "\n".join([lines[0], "", *lines[1:]])


def _loading(facts: CardFacts, about: Mapping[str, Any]) -> str:
    base, rank = facts.base or "BASE", about.get("rank")
    ways = {
        "hf": '```python\nmodel = AutoModelForCausalLM.from_pretrained("DIR")\n```\n\nvLLM: `vllm serve DIR`.',
        "lora": f'```python\nbase = AutoModelForCausalLM.from_pretrained("{base}")\n'
        'model = PeftModel.from_pretrained(base, "DIR")\n```\n\n'
        f"All matrices have rank {rank}: vLLM needs `--enable-lora --max-lora-rank {about.get('server_rank')}`.",
        "gguf": "`llama-server -m DIR/model.gguf`; in a Modelfile of Ollama `FROM ./model.gguf`. Never quantise it "
        "again: edits are lost sooner than what the base knew.",
        "gguf-lora": "`llama-server -m BASE.gguf --lora DIR/adapter.gguf`, where BASE.gguf is the quantisation that "
        "was edited.",
    }
    return f"## Load\n\n{ways[about['format']]}\n\n`kbsync check-served URL {facts.number}` asks a server what it kept."


def _back(facts: CardFacts) -> str:
    before = f"version {facts.predecessor}" if facts.predecessor else "the base"
    return f"## Go back\n\nThe base was not changed. Before this version, {before} was current: serve that again."


def _figures(facts: CardFacts) -> str:
    if not facts.metrics:
        return "## Figures\n\nThis version was not measured."
    rows = [f"| {m.name} | {m.value:.4g} | {_interval(m)} | {m.base:.4g} | {m.samples} |" for m in facts.metrics]
    decided = "passed" if facts.passed else "did not pass"
    head = ["| figure | value | 95 % interval | base | prompts |", "|---|---|---|---|---|"]
    return "\n".join([f"## Figures\n\nThe version {decided} its gate.\n", *head, *rows])


def _interval(metric: Metric) -> str:
    return "" if metric.low is None or metric.high is None else f"{metric.low:.3g} to {metric.high:.3g}"


def _edited(facts: CardFacts) -> str:
    requests = sorted(facts.manifest.requests, key=lambda request: request.key)
    head = ["## What was edited", "", "| item | property | subject | answer | revision |", "|---|---|---|---|---|"]
    rows = [
        f"| {r.key.subject} | {r.key.property} | {_cell(r.subject)} | {_cell(r.target)} "
        f"| [{r.revision}]({_WIKIDATA}?title={r.told_by.subject}&oldid={r.revision}) |"
        for r in requests[:_FACTS]
    ]
    more = [f"\nand {len(requests) - _FACTS} more"] if len(requests) > _FACTS else []
    return "\n".join([*head, *rows, *more])


def _cell(text: str) -> str:
    """Text that neither ends the cell nor is Markdown."""
    return "".join(f"\\{c}" if c in "\\|`*_[]<>" else c for c in " ".join(text.split()))


def _licence(base_directory: Path | None) -> str:
    """What the base's own card says; empty where it has none."""
    path = base_directory / FILE if base_directory else None
    if path is None or not path.is_file():
        return ""
    from huggingface_hub import ModelCard

    try:
        return str(ModelCard.load(path).data.get("license") or "")
    except (ValueError, OSError):
        return ""
