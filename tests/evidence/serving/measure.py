"""Asks a version's edited facts and neighbours in every form, and judges as the gate judges."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.bootstrap import App
from kbsync.domain.phrasing import Form, Use, fill
from kbsync.domain.version import Evaluation, PromptOutcome
from kbsync.model.gguf_source import base_gguf
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.stages.evaluate.question import EDITED, UNTOUCHED
from kbsync.stages.evaluate.served import check_served, served_prompts
from kbsync.stages.evaluate.served_figures import known_names
from kbsync.stages.facts import BelievedFacts, believed_facts
from tests.evidence.messages import say
from tests.evidence.serving.forms import FORMS, Version, opened
from tests.evidence.serving.rules import broken_rules
from tests.evidence.serving.swap import measure_swaps

COMMAND = "python -m tests.evidence serving"
RULES, SWAPS, LARGE = "adapter rules", "swaps", "large"
"""Parts of the record beside the forms; the last one comes from ``serving-large``."""
WITHIN_ONE = ("gguf-lora.f16", "gguf.f16", "gguf.q8_0")
"""Forms that must keep what kbsync itself measured, but for one fact."""


def measure_serving(
    app: App, number: int, forms: Sequence[str], record: Path, moves: int, sample: int | None
) -> dict[str, Any]:
    """The evidence.

    Args:
        app: The demonstration.
        number: The version.
        forms: Those of ``FORMS`` that are to be measured; what ``record`` has is not measured again.
        record: Keeps the result of each form and part, by which an interrupted run goes on.
        moves: Moves of ``current`` under load, for the hot swap.
        sample: At most so many prompts of each group; None: all.
    """
    started = datetime.now(UTC)
    known = _read(record)
    with app.ledger.read() as tx:
        evaluation, version = tx.evaluation(number), tx.version(number)
        facts = believed_facts(tx, app.relations, "")
    assert evaluation is not None and version is not None
    chosen = served_prompts(evaluation, (), sample, only=(EDITED, *UNTOUCHED))

    def keep(name: str, result: dict[str, Any], begun: float) -> None:
        known[name] = result | {"seconds": time.monotonic() - begun}
        say(f"{name}: {known[name]}")
        record.write_text(json.dumps(known, indent=1), encoding="utf-8")

    if lacking := [form for form in (*forms, RULES) if form not in known]:
        names = known_names(facts)
        with tempfile.TemporaryDirectory() as scratch, base_gguf(app.loaded.reference, None, Path(scratch)) as base:
            assert base is not None
            served = Version(
                loaded=app.loaded,
                delta=app.store.read(version.version_hash or "")[1],
                base=base.file,
                scratch=Path(scratch) / "forms",
                tokens=app.settings.model.base_answer_tokens,
                sentences=_sentences(chosen, facts),
            )
            served.scratch.mkdir()
            for form in lacking:
                begun = time.monotonic()
                if form == RULES:
                    keep(RULES, {"failed": broken_rules(served)}, begun)
                    continue
                with opened(served, form) as complete:
                    result = check_served(complete, evaluation, chosen, app.stages.settings.gate, names)
                lost = {(f.group, f.prompt) for f in result.lost}
                keep(form, _counts(evaluation, result, lost), begun)
    if moves and SWAPS not in known:
        begun = time.monotonic()
        keep(SWAPS, {"figures": [asdict(figure) for figure in measure_swaps(moves)]}, begun)
    failed = known[RULES]["failed"]
    figures = [*_figures(known, chosen), at_most("adapter.rules_failed", len(failed), "rules", 0)]
    figures += [Figure(**figure) for part in (SWAPS, LARGE) for figure in known.get(part, {}).get("figures", ())]
    return evidence(
        COMMAND,
        figures,
        seed=0,
        started=started,
        seconds=sum(part["seconds"] for part in known.values()),
        version=number,
        sample=sample,
        base=app.settings.model.reference,
        large=known.get(LARGE, {}).get("told"),
        rules_failed=failed,
        not_measured=[part for part in (*FORMS, LARGE) if part not in known],
    )


def _sentences(chosen: Sequence[PromptOutcome], facts: BelievedFacts) -> dict[str, str]:
    """By prompt, the fact in the last of its relation's edit statements: other words than the prompt's, where there
    are any."""
    by_key = {(str(k.subject), str(k.property)): watched for k, watched in facts.watched.items()}
    sentences = {}
    for outcome in chosen:
        relation, fact = by_key.get((outcome.subject, outcome.property), (None, None))
        if relation is not None and fact is not None and fact.subject_label:
            text = relation.of(Use.EDIT, Form.STATEMENT)[-1].text
            sentences[outcome.prompt] = f"{fill(text, fact.subject_label)} {outcome.expected}."
    return sentences


def _counts(evaluation: Evaluation, result: Any, lost: set[tuple[str, str]]) -> dict[str, float]:
    figures = {f.name: f for f in result.figures}
    return {
        "edited": round(figures["efficacy"].served * figures["efficacy"].samples),
        "neighbours": round(figures["specificity"].served * figures["specificity"].samples),
        "same": result.same,
        "lost": len(lost),
    }


def _figures(known: dict[str, Any], chosen: Sequence[Any]) -> list[Figure]:
    edited = [o for o in chosen if o.group == EDITED]
    untouched = [o for o in chosen if o.group in UNTOUCHED]
    own = sum(o.right for o in edited)
    figures = [
        Figure("kbsync.edited", own, f"of {len(edited)}"),
        Figure("kbsync.neighbours", sum(o.right for o in untouched), f"of {len(untouched)}"),
    ]
    for form in [f for f in FORMS if f in known]:
        counts, name = known[form], form.replace("gguf-lora.f16", "gguf.lora")
        unit = f"of {len(edited)}"
        if form in WITHIN_ONE:
            figures.append(at_least(f"{name}.edited", counts["edited"], unit, own - 1))
        else:
            figures.append(Figure(f"{name}.edited", counts["edited"], unit))
        figures.append(Figure(f"{name}.neighbours", counts["neighbours"], f"of {len(untouched)}"))
        figures.append(Figure(f"{name}.same_words", counts["same"], f"of {len(chosen)}"))
    return figures


def _read(record: Path) -> dict[str, Any]:
    return dict(json.loads(record.read_text(encoding="utf-8"))) if record.is_file() else {}


def note_large(record: Path, document: dict[str, Any]) -> None:
    """Put what ``serving-large`` measured into the record, which ``serving`` shows."""
    told = {key: document[key] for key in ("base", "layer", "covariance_tokens", "started")}
    part = {"figures": document["figures"], "seconds": document["seconds"], "told": told}
    record.write_text(json.dumps(_read(record) | {LARGE: part}, indent=1), encoding="utf-8")
