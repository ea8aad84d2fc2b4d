"""One edit in a process of its own, whose peak memory and time are told: ``python -m tests.evidence.speed.one_edit <
asked.json``."""

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
    """Reads what is asked from stdin and prints resident bytes before the model was loaded, and at the peak, and the
    seconds of the search for target vectors."""
    asked: dict[str, Any] = json.load(sys.stdin)
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in asked["recipe"].items()}
    empty = resident()
    with TemporaryDirectory() as place:
        loaded = load(asked["model"], cache_dir=Path(place), dtype=fields["dtype"])
        store = Scratch(FileArtifactStore(DiskStorage(Path(asked["artifacts"]))))
        texts = read_texts(Path(p) for p in asked["texts"])
        editor = MemitEditor(loaded.model, loaded.tokenizer, asked["fingerprint"], store, texts)
        editor.search_window = asked["window"]
        steps = Steps(UNWATCHED.progress)
        editor.edit(facts(asked["facts"]), Recipe(**fields), UNWATCHED.shown_by(steps))
    json.dump({"empty": empty, "peak": peak_rss_bytes(), "search": steps.laps[TARGETS].wall}, sys.stdout)


if __name__ == "__main__":
    main()
