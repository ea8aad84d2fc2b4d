"""The forms of the table: each puts a version before a real engine and yields what asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.model.delta import FactorDelta
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel, load
from kbsync.notifiers.openai import OpenAiServer
from kbsync.stages.evaluate.served import Complete
from tests.evidence.serving.requantised import requantised
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
        case "gguf", ("f16" | "q8_0"):
            with served(version, gguf(version, form, detail)) as complete:
                yield complete
        case "rank", number:
            with served(version, version.base, [adapter(version, form, rank=int(number))]) as complete:
                yield complete
        case "requantised", type:
            with served(version, rounded(version, gguf(version, "gguf.f16", "f16"), type.upper())) as complete:
                yield complete
        case "other-base", type:
            base = rounded(version, version.base, type.upper())
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
        case "lora", dtype:
            yield _peft(version, form, dtype)
        case _:
            raise ValueError(form)


def _torch(version: Version, loaded: LoadedModel) -> Complete:
    model = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
    return lambda prompts: model.complete(prompts, max_new_tokens=version.tokens)


def _peft(version: Version, form: str, dtype: str) -> Complete:
    """PEFT on the base, with transformers' own generation: nothing of kbsync asks."""
    from peft import PeftModel

    directory = exported(version, form, ExportForm(format="lora", dtype=dtype))
    base = load(version.loaded.reference, cache_dir=version.loaded.directory.parent, device="cpu", dtype=dtype)
    model = PeftModel.from_pretrained(base.model, directory).eval()

    def complete(prompts: Sequence[str]) -> list[str]:
        answers = []
        for prompt in prompts:
            ids = base.tokenizer(prompt, return_tensors="pt").input_ids
            with torch.no_grad():
                said = model.generate(input_ids=ids, max_new_tokens=version.tokens, do_sample=False)  # type: ignore[no-untyped-call]
            answers.append(str(base.tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True)).split("\n")[0])
        return answers

    return complete


FORMS = (
    "gguf-lora.f16",
    "gguf.f16",
    "gguf.q8_0",
    "gguf-lora.q8_0",
    "rank.64",
    "rank.32",
    "rank.16",
    "rank.8",
    "requantised.q8_0",
    "requantised.q5_0",
    "requantised.q4_0",
    "other-base.q5_0",
    "other-base.q4_0",
    "context.only",
    "context.edited",
    "hf.float32",
    "lora.float32",
    "hf.bfloat16",
    "lora.bfloat16",
)
