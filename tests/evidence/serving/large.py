"""A small edit of a larger model, served by llama.cpp as an adapter beside the file that the base came as."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
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
        version = tx.version(number)
    assert version is not None
    manifest, _ = app.store.read(version.version_hash or "")
    loaded = load(str(model), cache_dir=cache, device="cpu")
    seconds = {"load": time.monotonic() - begun}
    own = TorchLanguageModel(loaded.model, loaded.tokenizer, loaded.fingerprint)
    # A model that begins no text with a token of its own has huge states at the first one, which no edit should touch.
    usable = [r for r in manifest.requests if not r.prompt.startswith(r.subject)]
    requests = sorted(usable, key=lambda r: r.id)[: 4 * facts]
    prompts = [r.prompt for r in requests]
    before = own.complete(prompts, max_new_tokens=TOKENS)
    wrong = [n for n, r in enumerate(requests) if not _right(r, before[n])][:facts]
    chosen, known = [requests[n] for n in wrong], [n for n in range(len(requests)) if _right(requests[n], before[n])]
    say(f"{len(known)} of {len(requests)} facts known; {len(chosen)} are written")
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
    asked = [r.prompt for r in chosen] + [prompts[n] for n in known]
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
        _figures(chosen, [requests[n] for n in known], said, served, seconds),
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


def _right(request: EditRequest, answer: str) -> bool:
    return asserts(answer, (request.target.strip(),), prompt=request.prompt)


def _figures(
    written: Sequence[EditRequest],
    known: Sequence[EditRequest],
    said: Sequence[str],
    served: Sequence[str],
    seconds: dict[str, float],
) -> list[Figure]:
    """The same for kbsync's own answers and for llama.cpp's."""
    both = [*written, *known]
    right = {
        name: [_right(r, answer) for r, answer in zip(both, answers, strict=True)]
        for name, answers in (("kbsync", said), ("gguf.lora", served))
    }
    count = len(written)
    own = sum(right["kbsync"][:count])
    return [
        Figure("large.kbsync.edited", own, f"of {count}"),
        Figure("large.kbsync.neighbours", sum(right["kbsync"][count:]), f"of {len(known)}"),
        at_least("large.gguf.lora.edited", sum(right["gguf.lora"][:count]), f"of {count}", max(1, own - 1)),
        Figure("large.gguf.lora.neighbours", sum(right["gguf.lora"][count:]), f"of {len(known)}"),
        Figure("large.same_words", sum(a == b for a, b in zip(said, served, strict=True)), f"of {len(both)}"),
        *(Figure(f"large.{name}.seconds", round(value, 1), "s") for name, value in seconds.items()),
    ]
