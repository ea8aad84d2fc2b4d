"""A small edit of a larger model, served by llama.cpp as an adapter beside the file that the base came as."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from typing import Any

from kbsync.bootstrap import App
from kbsync.checkpoints.exporters.form import ExportForm
from kbsync.checkpoints.exporters.write import write_export
from kbsync.domain.judging import asserts
from kbsync.domain.plan import EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import load
from kbsync.notifiers.openai import OpenAiServer
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.stages.evaluate.question import UNTOUCHED
from tests.evidence.messages import say
from tests.support.llama_server import llama_server

COMMAND = "python -m tests.evidence serving-large"
TOKENS = 8


def measure_large(
    app: App, number: int, model: Path, cache: Path, *, facts: int, layer: int, tokens: int
) -> dict[str, Any]:
    """The evidence.

    Args:
        app: The demonstration: its facts, its texts, and where artifacts are kept.
        number: The version whose first facts are written into the other model.
        model: A GGUF file.
        cache: Keeps it after it was converted.
        facts: How many.
        layer: The one edited layer.
        tokens: Text of the key covariance.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    with app.ledger.read() as tx:
        version, evaluation = tx.version(number), tx.evaluation(number)
    assert version is not None and evaluation is not None
    manifest, _ = app.store.read(version.version_hash or "")
    loaded = load(str(model), cache_dir=cache, device="cpu")
    seconds = {"load": time.monotonic() - begun}
    own = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
    # A model that begins no text with a token of its own has huge states at the first one, which no edit should touch.
    usable = [r for r in manifest.requests if not r.prompt.startswith(r.subject)]
    requests = sorted(usable, key=lambda r: r.id)[: 4 * facts]
    wrong = [not right for right in _judge(own, [_question(r) for r in requests])]
    chosen = list(compress(requests, wrong))[:facts]
    others = list(dict.fromkeys((o.prompt, o.expected) for o in evaluation.outcomes if o.group in UNTOUCHED))
    known = list(compress(others, _judge(own, others)))
    say(f"{len(known)} of {len(others)} neighbours known; {len(chosen)} of {sum(wrong)} wrong facts are written")
    recipe = Recipe(
        name="late",
        layers=(layer,),
        covariance_weight=2000.0,
        covariance_tokens=tokens,
        context_count=0,
        steps=20,
        learning_rate=0.1,
        loss_threshold=0.3,
        token_threshold=0.6,
    )
    clock = time.monotonic()
    editor = MemitEditor(loaded.model, loaded.tokenizer, loaded.fingerprint, app.artifacts, app.corpus)
    delta = editor.edit(chosen, recipe, app.work).delta
    assert isinstance(delta, FactorDelta)
    seconds["edit"] = time.monotonic() - clock
    questions = [*(_question(r) for r in chosen), *known]
    asked = [prompt for prompt, _ in questions]
    with applied(loaded.model, delta):
        said = own.complete(asked, max_new_tokens=TOKENS)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "adapter"
        write_export(loaded, delta, directory, ExportForm(format="gguf-lora", gguf=model), {})
        clock = time.monotonic()
        served = _served(model, directory / "adapter.gguf", asked)
        seconds["answers"] = time.monotonic() - clock
    for prompt, one, other in zip(asked, said, served, strict=True):
        say(f"{prompt!r}: kbsync {one!r}, llama.cpp {other!r}")
    return evidence(
        COMMAND,
        _figures(questions, len(chosen), said, served, seconds),
        seed=0,
        started=started,
        seconds=time.monotonic() - begun,
        base=model.name,
        layer=layer,
        covariance_tokens=tokens,
    )


def _served(model: Path, adapter: Path, prompts: Sequence[str]) -> list[str]:
    with llama_server(model, [adapter], parallel=2) as url, ThreadPoolExecutor(2) as pool:
        server = OpenAiServer(url, "any", timeout=300)
        return [answer for (answer,) in pool.map(lambda prompt: server.complete([prompt], TOKENS), prompts)]


def _question(request: EditRequest) -> tuple[str, str]:
    """A prompt and its right answer."""
    return request.prompt, request.target.strip()


def _judge(model: TorchLanguageModel, questions: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the model answers each rightly."""
    said = model.complete([prompt for prompt, _ in questions], max_new_tokens=TOKENS)
    return [_right(question, answer) for question, answer in zip(questions, said, strict=True)]


def _right(question: tuple[str, str], answer: str) -> bool:
    prompt, name = question
    return asserts(answer, (name,), prompt=prompt)


def _figures(
    questions: Sequence[tuple[str, str]],
    count: int,
    said: Sequence[str],
    served: Sequence[str],
    seconds: dict[str, float],
) -> list[Figure]:
    """The same for kbsync's own answers and for llama.cpp's; the first ``count`` questions are the edited ones."""
    right = {
        name: [_right(question, answer) for question, answer in zip(questions, answers, strict=True)]
        for name, answers in (("kbsync", said), ("gguf.lora", served))
    }
    edited, others = f"of {count}", f"of {len(questions) - count}"
    own = sum(right["kbsync"][:count])
    return [
        Figure("large.kbsync.edited", own, edited),
        Figure("large.kbsync.neighbours", sum(right["kbsync"][count:]), others),
        at_least("large.gguf.lora.edited", sum(right["gguf.lora"][:count]), edited, max(1, own - 1)),
        Figure("large.gguf.lora.neighbours", sum(right["gguf.lora"][count:]), others),
        Figure("large.same_words", sum(a == b for a, b in zip(said, served, strict=True)), f"of {len(questions)}"),
        *(Figure(f"large.{name}.seconds", round(value, 1), "s") for name, value in seconds.items()),
    ]
