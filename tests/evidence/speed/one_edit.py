"""Make one edit and print its peak memory and time: ``python -m tests.evidence.speed.one_edit < order.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.domain.recipe import Recipe
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.target_cache import TARGETS
from kbsync.model.load import load
from kbsync.operations.evidence import peak_rss_bytes
from kbsync.ports import UNWATCHED
from kbsync.text.corpus import read_texts
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import Steps
from tests.evidence.speed.numbers import resident
from tests.evidence.speed.workshop import Scratch


def main() -> None:
    """Read the order from stdin, and print the result.

    The result has the resident bytes before the model was loaded, their peaks after that and at the end, and the
    seconds of the search for target vectors.
    """
    order: dict[str, Any] = json.load(sys.stdin)
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in order["recipe"].items()}
    empty = resident()
    with TemporaryDirectory() as place:
        model = load(order["model"], cache_dir=Path(place), dtype=fields["dtype"])
        loaded = peak_rss_bytes()
        store = Scratch(FileArtifactStore(DiskStorage(Path(order["artifacts"]))))
        texts = read_texts(Path(p) for p in order["texts"])
        editor = MemitEditor(model.model, model.tokenizer, order["fingerprint"], store, texts)
        editor.search_window = order["window"]
        steps = Steps(UNWATCHED.progress)
        editor.edit(facts(order["facts"]), Recipe(**fields), UNWATCHED.shown_by(steps))
    told = {"empty": empty, "loaded": loaded, "peak": peak_rss_bytes(), "search": steps.laps[TARGETS].wall}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
