"""Finds a recipe for each family, as a first synchronisation does, and counts how they end."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kbsync.config import load_all
from kbsync.domain.errors import KbsyncError
from kbsync.operations.evidence import Figure, at_most, evidence
from kbsync.stages.cycle import rehearse
from kbsync.stages.tune.extent import Extent
from kbsync.testing.fake_source import FakeSource
from kbsync.text import shipped
from tests.evidence.families.models import FAMILIES, make_model
from tests.evidence.messages import say
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import START, statement
from tests.support.tuning_world import FIRST, TOWNS, land, town

LANDS, WRONG = 32, 4
UNITS = Extent(8, 24).units
RECIPE, REFUSED, OTHER = "recipe", "refused", "other"
ASKED, HELD_OUT = "The capital of {} is", "The main town of {} is"
OTHER_FORMS = ("The best food of {} is", "People call {} the land of", "In {} one meets", "A river of {} is called")
BESIDE = 6
"""Sentences of each of these forms. They stay as they are, so the perplexity is that of reading them."""
GATE = 1000
"""Characters of held-out text that are the gate's; what follows is the search's."""
SETTINGS = """
state_dir = "state"
[source]
user_agent = "kbsync tests (mailto:tests@kbsync.invalid)"
endpoint = "http://127.0.0.1:9/sparql"
[model]
reference = "./model"
device = "cpu"
[text]
corpus = ["corpus.txt"]
held_out = ["held_out.txt"]
held_out_characters = {gate}
"""
RELATION = """property = "P36"
label = "capital"
phrasings.edit.statement = ["{asked}"]
phrasings.held_out.statement = ["{held_out}"]
subjects = [{subjects}]
"""


def measure_families(families: Sequence[str] = tuple(FAMILIES), kept: Path | None = None) -> dict[str, Any]:
    """Find a recipe for a small model of each family; returns the evidence.

    Args:
        families: Their names.
        kept: A file with one line for each family that is finished, so that a killed run goes on where it was.
    """
    started = datetime.now(UTC)
    ends = _read(kept)
    for family in families:
        if family not in ends:
            ends[family] = _end(family)
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({family: ends[family]}) + "\n")
    ends = {family: ends[family] for family in families}
    counts = Counter(end["end"] for end in ends.values())
    figures = [
        Figure("families.recipe", counts[RECIPE], "families"),
        Figure("families.refused", counts[REFUSED], "families"),
        at_most("families.other", counts[OTHER], "families", 0),
    ]
    return evidence(
        "python -m tests.evidence families",
        figures,
        seed=3,
        started=started,
        seconds=sum(end["seconds"] for end in ends.values()),
        families=ends,
    )


def _read(kept: Path | None) -> dict[str, Any]:
    lines = kept.read_text(encoding="utf-8").splitlines() if kept and kept.exists() else []
    return {family: end for line in lines for family, end in json.loads(line).items()}


def _end(family: str) -> dict[str, Any]:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kbsync-family-") as directory:
        try:
            end, said = _found(family, Path(directory))
        except KbsyncError as error:
            end, said = REFUSED, error.what
        except Exception as error:  # that is what is counted
            end, said = OTHER, f"{type(error).__name__}: {error}"
    if end == REFUSED and len(said.strip().splitlines()) != 1:
        end = OTHER
    say(f"{family}: {end}: {said}")
    return {"end": end, "said": said, "seconds": round(time.monotonic() - begun, 1)}


def _found(family: str, place: Path) -> tuple[str, str]:
    from kbsync.bootstrap import App

    texts = beside()
    taught = sentences() + texts
    make_model(family, taught, place / "model")
    subjects = ", ".join(f'"Q{FIRST + n}"' for n in range(LANDS))
    files = {
        "kbsync.toml": SETTINGS.format(gate=GATE),
        "relations/capital.toml": RELATION.format(asked=ASKED, held_out=HELD_OUT, subjects=subjects),
        "corpus.txt": "\n\n".join([*taught, *shipped.held_out()]),  # the keys of the former fill few dimensions
        "held_out.txt": "\n\n".join(["-" * GATE, *texts]),  # the gate asks nothing here
    }
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    (place / "recipes").mkdir()
    empty_ledger(place / "state" / "ledger.sqlite3")
    source = _source()

    class FamilyApp(App):
        """Pulls from a source in memory."""

    FamilyApp.source = source  # type: ignore[assignment]
    with closing(FamilyApp(load_all(place / "kbsync.toml"), actor="evidence")) as app, app.writer() as writer:
        rehearse(writer, app.stages)
        tuned = app.stages.tune(writer, units=UNITS)
    if tuned.path is None:
        return REFUSED, tuned.refusal
    layers = ", ".join(map(str, tuned.recipe.layers))
    return RECIPE, f"layers {layers}, λ {tuned.recipe.covariance_weight:g}: score {tuned.best.score:.2f}"


def sentences() -> list[str]:
    """What a model is taught: all capitals, some of them wrong, in both wordings."""
    taught = [town(n if n >= WRONG else n + WRONG) for n in range(LANDS)]
    return [f"{form.format(land(n))} {taught[n]}." for n in range(LANDS) for form in (ASKED, HELD_OUT)]


def beside() -> list[str]:
    """What a model is taught beside the capitals, of lands that are not watched."""
    count = range(BESIDE * len(OTHER_FORMS))
    return [f"{OTHER_FORMS[n % len(OTHER_FORMS)].format(land(LANDS + n))} {town(LANDS + n)}." for n in count]


def _source() -> FakeSource:
    source = FakeSource(now=START)
    for n in range(LANDS):
        source.set_item(f"Q{TOWNS + n}", label=town(n))
        capital = statement(f"Q{FIRST + n}", "P36", f"Q{TOWNS + n}")
        source.set_item(f"Q{FIRST + n}", label=land(n), statements=(capital,))
    source.now += timedelta(days=30)  # long enough for what it says to be trusted
    return source
