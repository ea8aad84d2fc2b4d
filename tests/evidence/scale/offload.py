"""A model with most of its layers on the disk, beside the same in memory: the same answers, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kbsync.domain.recipe import Recipe
from kbsync.model.load import load
from kbsync.model.spread import Spread
from kbsync.operations.evidence import Figure, at_most, evidence, peak_rss_bytes
from kbsync.research.scale_out import facts
from tests.support.paths import ROOT

BOUND = 4 * 2**30
FACTS, ASKED = 4, 24


def measure_offload(reference: str, dtype: str, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Edit and ask the model twice, each time in a process of its own."""
    started, begun = datetime.now(UTC), time.monotonic()
    results = {}
    with TemporaryDirectory() as place:
        for name in ("whole", "offloaded"):
            order = {"model": reference, "dtype": dtype, "cache": place, "offload": name == "offloaded"}
            done = subprocess.run(
                [sys.executable, "-m", "tests.evidence.scale.offload"],
                input=json.dumps(order),
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr[-3000:]}")
            results[name] = json.loads(done.stdout.splitlines()[-1])
            say(f"{name}: {results[name]['peak'] / 2**30:.2f} GiB, {results[name]['seconds']:.0f} s")
    whole, offloaded = results["whole"], results["offloaded"]
    other = sum(one != two for one, two in zip(whole["answers"], offloaded["answers"], strict=True))
    figures = [
        at_most("offload.peak_bytes", offloaded["peak"], "bytes", BOUND),
        at_most("offload.other_answers", other, "answers", 0),
        Figure("offload.whole_peak_bytes", whole["peak"], "bytes without a device map"),
        Figure("offload.seconds", offloaded["seconds"], "s"),
        Figure("offload.whole_seconds", whole["seconds"], "s without a device map"),
    ]
    seconds = time.monotonic() - begun
    command = "python -m tests.evidence scale-offload"
    more = {"model": reference, "edited": FACTS, "asked": len(whole["answers"])}
    return evidence(command, figures, seed=0, started=started, seconds=seconds, **more)


def one_run(order: dict[str, Any]) -> dict[str, Any]:
    """Ask the base, edit it, ask the edited one; the peak of memory, and all answers."""
    from kbsync.checkpoints.artifacts import FileArtifactStore
    from kbsync.checkpoints.disk import DiskStorage
    from kbsync.editing.memit.memit import MemitEditor
    from kbsync.model.base import TorchBase
    from kbsync.model.decoder import discover
    from kbsync.model.quiet import quiet
    from kbsync.ports import UNWATCHED

    begun, cache = time.monotonic(), Path(order["cache"])
    config = json.loads((_directory(order["model"], cache) / "config.json").read_bytes())
    count = int(config["num_hidden_layers"])
    edited = (count - 2,)
    spread = _spread(count, edited) if order["offload"] else None
    with quiet():
        loaded = load(order["model"], cache_dir=cache, device="cpu", dtype=order["dtype"], spread=spread)
    assert len(discover(loaded.model).layers) == count
    recipe = Recipe(
        name="offload",
        layers=edited,
        steps=6,
        dtype=order["dtype"],
        contexts=("Thus: {}",),
        covariance_tokens=2_000,
        covariance_weight=100.0,
    )
    texts = [f"{fact.prompt} {fact.target}." for fact in facts(400)]
    store = FileArtifactStore(DiskStorage(cache / ("offloaded" if order["offload"] else "whole")))
    editor = MemitEditor(loaded.model, loaded.tokenizer, loaded.fingerprint, store, texts)
    base = TorchBase(loaded)
    prompts = [fact.prompt for fact in facts(ASKED)]
    answers: list[object] = [*base.language_model().complete(prompts)]
    made = editor.edit(facts(FACTS), recipe, UNWATCHED)
    with base.edited(made.delta) as model:
        answers += model.complete(prompts)
        answers += [score.nll for score in model.scores([(prompt, "Oslo") for prompt in prompts])]
    answers += sorted(made.targets.values())
    return {"peak": peak_rss_bytes(), "answers": answers, "seconds": time.monotonic() - begun}


def _directory(reference: str, cache: Path) -> Path:
    from kbsync.model.digests import digests_in
    from kbsync.model.reference import model_directory
    from kbsync.ports import UNWATCHED

    return model_directory(reference, cache, digests_in(cache), UNWATCHED)


def _spread(count: int, edited: tuple[int, ...]) -> Spread:
    """The edited layers, embeddings and head in memory; all other layers on the disk."""
    layers = {f"model.layers.{n}": "cpu" if n in edited else "disk" for n in range(count)}
    rest = ("model.embed_tokens", "model.norm", "model.rotary_emb", "model.rotary_emb_local", "lm_head")
    return Spread({**dict.fromkeys(rest, "cpu"), **layers})


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(one_run(json.load(sys.stdin))) + "\n")
