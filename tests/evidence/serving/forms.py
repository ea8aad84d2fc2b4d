"""The forms of the table: each puts a version before a real engine and yields what asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.model.delta import FactorDelta
from kbsync.model.gguf_layout import read_layout
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel, load
from kbsync.notifiers.openai import OpenAiServer
from kbsync.stages.evaluate.served import Complete
from tests.evidence.serving.requantised import requantised, rewritten
from tests.support.llama_server import llama_server

_TOGETHER = 4
"""Requests that llama.cpp answers together."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """What is put before the engines."""

    loaded: LoadedModel
    delta: FactorDelta
    base: Path
    """The base's GGUF file."""
    scratch: Path
    tokens: int
    sentences: Mapping[str, str]
    """By prompt, the fact as a sentence, for a model's context."""


def exported(version: Version, name: str, form: ExportForm) -> Path:
    directory = version.scratch / name
    if not directory.exists():
        write_export(version.loaded, version.delta, directory, form, {"version": 2})
    return directory


@contextmanager
def served(
    version: Version, model: Path, adapters: Sequence[Path] = (), *, context: bool = False
) -> Iterator[Complete]:
    """A real llama.cpp; ``context``: the right fact stands before the prompt."""
    with llama_server(model, adapters, parallel=_TOGETHER) as url, ThreadPoolExecutor(_TOGETHER) as pool:
        server = OpenAiServer(url, "any", timeout=300)

        def complete(prompts: Sequence[str]) -> list[str]:
            asked = [f"{version.sentences.get(p, '')}\n{p}".lstrip() if context else p for p in prompts]
            return [answer for (answer,) in pool.map(lambda p: server.complete([p], version.tokens), asked)]

        yield complete


def gguf(version: Version, name: str, type: str) -> Path:
    return exported(version, name, ExportForm(format="gguf", type=type, gguf=version.base)) / "model.gguf"


def adapter(version: Version, name: str, type: str = "f16", rank: int | None = None) -> Path:
    form = ExportForm(format="gguf-lora", type=type, rank=rank, gguf=version.base)
    return exported(version, name, form) / "adapter.gguf"


def edited_in(version: Version, type: str) -> Path:
    """The base's file with the edited tensors in a type that kbsync itself does not write."""
    target = version.scratch / f"edited-{type}.gguf"
    whole, base = read_layout(gguf(version, "gguf.f32", "f32")), read_layout(version.base)
    edited = {a.name for a, b in zip(whole.tensors, base.tensors, strict=True) if a.kind != b.kind}
    assert len(edited) == len(version.delta.parameters)
    return target if target.exists() else rewritten(whole, target, lambda t: type.upper() if t.name in edited else "")


def rounded(version: Version, file: Path, type: str) -> Path:
    target = version.scratch / f"{file.parent.name}-{file.stem}-{type}.gguf"
    return target if target.exists() else requantised(file, target, type)


@contextmanager
def opened(version: Version, form: str) -> Iterator[Complete]:
    """Yield what asks the engine of a form by its name in the evidence."""
    kind, _, detail = form.partition(".")
    match kind, detail:
        case "gguf-lora", ("f16" | "q8_0"):
            with served(version, version.base, [adapter(version, form, detail)]) as complete:
                yield complete
        case "gguf", type:
            file = gguf(version, form, type) if type in ("f16", "q8_0") else edited_in(version, type)
            with served(version, file) as complete:
                yield complete
        case "rank", number:
            with served(version, version.base, [adapter(version, form, rank=int(number))]) as complete:
                yield complete
        case "requantised", type:
            with served(version, rounded(version, gguf(version, "gguf.f16", "f16"), type)) as complete:
                yield complete
        case "other-base", type:
            base = rounded(version, version.base, type)
            with served(version, base, [adapter(version, "gguf-lora.f16")]) as complete:
                yield complete
        case "context", "only":
            with served(version, version.base, context=True) as complete:
                yield complete
        case "context", "edited":
            with served(version, version.base, [adapter(version, "gguf-lora.f16")], context=True) as complete:
                yield complete
        case "hf", dtype:
            directory = exported(version, form, ExportForm(format="hf", dtype=dtype))
            yield _torch(version, load(str(directory), cache_dir=version.scratch / "cache", device="cpu", dtype=dtype))
        case (("lora" | "merged"), dtype):
            yield _peft(version, f"lora.{dtype}", dtype, merged=kind == "merged")
        case _:
            raise ValueError(form)


def _torch(version: Version, loaded: LoadedModel) -> Complete:
    model = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
    return lambda prompts: model.complete(prompts, max_new_tokens=version.tokens)


def _peft(version: Version, form: str, dtype: str, *, merged: bool) -> Complete:
    """PEFT on the base, with transformers' own generation: nothing of kbsync asks."""
    from peft import PeftModel

    directory = exported(version, form, ExportForm(format="lora", dtype=dtype))
    base = load(version.loaded.reference, cache_dir=version.loaded.directory.parent, device="cpu", dtype=dtype)
    adapted = PeftModel.from_pretrained(base.model, directory).eval()
    model = adapted.merge_and_unload() if merged else adapted
    model.requires_grad_(True)  # in bfloat16, torch multiplies several times as fast on a CPU if weights want gradients

    def complete(prompts: Sequence[str]) -> list[str]:
        rows = [base.tokenizer(prompt).input_ids for prompt in prompts]
        answers = {}
        # Only prompts of the same length go together, so that no padding is needed.
        for _, alike in groupby(sorted(range(len(rows)), key=lambda n: len(rows[n])), key=lambda n: len(rows[n])):
            numbers = list(alike)
            ids = torch.tensor([rows[n] for n in numbers])
            with torch.no_grad():
                said = model.generate(input_ids=ids, max_new_tokens=version.tokens, do_sample=False)
            for n, row in zip(numbers, said[:, ids.shape[1] :], strict=True):
                answers[n] = str(base.tokenizer.decode(row, skip_special_tokens=True)).split("\n")[0]
        return [answers[n] for n in range(len(rows))]

    return complete


FORMS = (
    "hf.float32",
    "lora.float32",
    "merged.float32",
    "hf.bfloat16",
    "lora.bfloat16",
    "merged.bfloat16",
    "gguf-lora.f16",
    "gguf-lora.q8_0",
    "gguf.f16",
    "gguf.q8_0",
    "gguf.q5_1",
    "gguf.q4_0",
    "requantised.q8_0",
    "requantised.q4_k_m",
    "requantised.q5_k_m",
    "requantised.q5_1",
    "requantised.q5_0",
    "requantised.q3_k_m",
    "requantised.q4_0",
    "requantised.q2_k",
    "other-base.q5_k_m",
    "other-base.q3_k_m",
    "other-base.q4_0",
    "rank.64",
    "rank.32",
    "rank.16",
    "rank.8",
    "context.only",
    "context.edited",
)
