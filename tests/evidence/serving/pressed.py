"""What a recipe's ``refine_as`` brings: the same facts, written again for a form in which they were lost."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from kbsync.bootstrap import App
from kbsync.bootstrap.served_forms import served_forms
from kbsync.domain.canonical import content_hash
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.gguf_source import base_gguf
from kbsync.model.language_model import TorchLanguageModel
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.stages.evaluate.question import EDITED, UNTOUCHED
from kbsync.stages.evaluate.served import Complete, check_served, served_prompts
from kbsync.stages.evaluate.served_figures import known_names
from kbsync.stages.facts import believed_facts
from tests.evidence.messages import say
from tests.evidence.serving.forms import Version, opened

COMMAND = "python -m tests.evidence serving-pressed"
BEFORE, AFTER, UNROUNDED, LLAMA = "before", "after", "unrounded", "llama"


class Pressing:
    """A version's facts with and without pressing, asked in a form."""

    def __init__(self, app: App, number: int, record: Path, subjects: int | None, passes: int | None) -> None:
        self.app, self.record = app, record
        self.known: dict[str, dict[str, float]] = (
            json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        )
        with app.ledger.read() as tx:
            evaluation, version = tx.evaluation(number), tx.version(number)
            facts = believed_facts(tx, app.relations, "")
        assert evaluation is not None and version is not None
        self.evaluation: Evaluation = evaluation
        manifest, self.delta = app.store.read(version.version_hash or "")
        self.names = known_names(facts)
        self.recipe = replace(manifest.recipe, refine_epochs=passes or manifest.recipe.refine_epochs)
        # All facts of a subject together, since they share target vectors.
        kept = sorted({r.subject for r in manifest.requests}, key=content_hash)[:subjects]
        self.requests = [r for r in manifest.requests if r.subject in kept]
        self.guards = manifest.guards[:subjects]
        self.is_part = subjects is not None or passes is not None
        keys = {(str(r.key.subject), str(r.key.property)) for r in self.requests}
        self.chosen: Sequence[PromptOutcome] = [
            o
            for o in served_prompts(evaluation, (), only=(EDITED, *UNTOUCHED))
            if o.group != EDITED or (o.subject, o.property) in keys
        ]

    def ask(self, name: str, complete: Complete) -> None:
        """Keep what is answered rightly."""
        begun = time.monotonic()
        result = check_served(complete, self.evaluation, self.chosen, self.app.stages.settings.gate, self.names)
        shares = {f.name: f for f in result.figures}
        self.keep(
            name,
            edited=round(shares["efficacy"].served * shares["efficacy"].samples),
            neighbours=round(shares["specificity"].served * shares["specificity"].samples),
            seconds=time.monotonic() - begun,
        )

    def keep(self, name: str, **counts: float) -> None:
        self.known[name] = counts
        say(f"{name}: {counts}")
        self.record.write_text(json.dumps(self.known, indent=1), encoding="utf-8")

    def written(self, *forms: str) -> FactorDelta:
        """The facts, written with a recipe that practises in these forms; kept beside the record."""
        if not forms and not self.is_part:
            return self.delta
        name = forms[0] if forms else "plain"
        file = self.record.with_name(f"{self.record.stem}-{name}.safetensors")
        if not file.is_file():
            begun, app = time.monotonic(), self.app
            recipe = replace(self.recipe, refine_as=forms)
            made = app.editor(recipe).edit(self.requests, recipe, app.work, guards=self.guards).delta
            assert isinstance(made, FactorDelta)
            save_file(
                {f"{s} {n}": t for n, pair in made.factors.items() for s, t in zip("LR", pair, strict=True)}, file
            )
            self.keep(f"{name}.edit", seconds=time.monotonic() - begun)
        stored = load_file(file)
        return FactorDelta({n[2:]: (stored[n], stored[f"R {n[2:]}"]) for n in stored if n.startswith("L ")})

    def measure(self, form: str, *, press: bool) -> None:
        """Ask the version in the form, and, if wanted, what was pressed for it: there, unrounded, and by llama.cpp."""
        settings = self.app.settings.model_copy(
            update={"evaluate": self.app.settings.evaluate.model_copy(update={"served_as": (form,)})}
        )
        trial = served_forms(settings, lambda: self.app.loaded)[form]
        if f"{form}.{BEFORE}" not in self.known:
            with trial(self.written()) as complete:
                self.ask(f"{form}.{BEFORE}", complete)
        if not press:
            return
        delta = self.written(form)
        if f"{form}.{AFTER}" not in self.known:
            with trial(delta) as complete:
                self.ask(f"{form}.{AFTER}", complete)
        if f"{form}.{UNROUNDED}" not in self.known:
            base = self.app.loaded
            model, tokens = (
                TorchLanguageModel(base.model, base.tokenizer, base.fingerprint),
                settings.model.base_answer_tokens,
            )
            with applied(base.model, delta):
                self.ask(f"{form}.{UNROUNDED}", lambda prompts: model.complete(prompts, max_new_tokens=tokens))
        if f"{form}.{LLAMA}" not in self.known:
            self._ask_llama(form, delta)

    def _ask_llama(self, form: str, delta: FactorDelta) -> None:
        """A real llama.cpp with the whole file requantised after the edit."""
        reference = self.app.loaded.reference
        with tempfile.TemporaryDirectory() as scratch, base_gguf(reference, None, Path(scratch)) as base:
            assert base is not None
            tokens = self.app.settings.model.base_answer_tokens
            version = Version(
                loaded=self.app.loaded, delta=delta, base=base.file, scratch=Path(scratch), tokens=tokens, sentences={}
            )
            with opened(version, f"requantised.{form}") as complete:
                self.ask(f"{form}.{LLAMA}", complete)


def measure_pressed(
    app: App,
    number: int,
    forms: Sequence[str],
    pressed: Sequence[str],
    record: Path,
    *,
    subjects: int | None = None,
    passes: int | None = None,
) -> dict[str, Any]:
    """The evidence.

    Args:
        app: The demonstration.
        number: The version.
        forms: Forms in which it is asked as it is.
        pressed: Those of them for which its facts are written again.
        record: Keeps results, by which an interrupted run goes on.
        subjects: Only the facts of so many subjects, and as many guards, written anew for both sides; None: all, and
            the version itself is what was not pressed.
        passes: Of the refinement, on both sides; None: the recipe's.
    """
    started = datetime.now(UTC)
    pressing = Pressing(app, number, record, subjects, passes)
    for form in forms:
        pressing.measure(form, press=form in pressed)
    edited = [o for o in pressing.chosen if o.group == EDITED]
    others = len(pressing.chosen) - len(edited)
    own = sum(o.right for o in edited)  # as the whole version was measured
    figures = [
        Figure("kbsync.edited", own, f"of {len(edited)}"),
        Figure("kbsync.neighbours", sum(o.right for o in pressing.chosen) - own, f"of {others}"),
    ]
    for name, counts in pressing.known.items():
        figures += _figures(name, counts, pressing.known, len(edited), others)
    seconds = sum(counts["seconds"] for counts in pressing.known.values())
    return evidence(
        COMMAND, figures, seed=0, started=started, seconds=seconds, version=number, base=app.loaded.reference,
        facts=len(pressing.requests), passes=pressing.recipe.refine_epochs,
    )  # fmt: skip


def _figures(
    name: str, counts: Mapping[str, float], known: Mapping[str, Mapping[str, float]], edited: int, others: int
) -> list[Figure]:
    form, _, what = name.rpartition(".")
    if what == "edit":
        return [Figure(f"{name}.seconds", round(counts["seconds"]), "s")]
    unit = f"of {edited}"
    if what == AFTER:
        right = at_least(f"{name}.edited", counts["edited"], unit, known[f"{form}.{BEFORE}"]["edited"])
    else:
        right = Figure(f"{name}.edited", counts["edited"], unit)
    return [right, Figure(f"{name}.neighbours", counts["neighbours"], f"of {others}")]
