"""``kbsync trace``: facts, the tracing of each, averages, and the recipe that names where its layers came from."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kbsync.bootstrap import App
from kbsync.config.recipe_file import recipe_text
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.recipe import Recipe
from kbsync.domain.verdict import VerdictKind
from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.tracing.causal_trace import (
    TracePrompt,
    TraceSettings,
    default_window,
    embedding_std,
    knows,
    max_prompt_tokens,
    trace_fact,
    trace_prompt,
)
from kbsync.editing.tracing.effects import Effect, FactTrace, Role, State, average, suggest, total_effect
from kbsync.model.decoder import Decoder, discover
from kbsync.model.hooks import frozen
from kbsync.operations.evidence import Figure, evidence
from kbsync.research.known import KnownFact
from kbsync.research.result_cache import EDITED_BY, ResultCache
from kbsync.research.session import ResearchSession
from kbsync.stages.facts import believed_facts
from kbsync.system.durable import write_file
from kbsync.system.printable import printable

RULE = "the run of layers around the peak of the MLPs' effect at the subject's last token with at least half of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """``facts``: how many known facts are traced at most, the first that the model knows in an order that ``seed``
    draws; ``window``: None: a fifth of the layers."""

    facts: int = 100
    samples: int = 10
    noise: float = 3.0
    window: int | None = None
    seed: int = 0


def ledger_facts(app: App) -> list[KnownFact]:
    """Watched facts that the base has right, by the ledger's verdicts, with their relation's prompt."""
    fingerprint = app.loaded.fingerprint
    with app.ledger.read() as tx:
        believed, found = believed_facts(tx, app.framed, fingerprint), []
        for key, (relation, fact) in believed.watched.items():
            verdict = believed.verdicts.get(key)
            label = fact.answers[0].label
            if verdict and verdict.kind is VerdictKind.CURRENT and fact.subject_label and label:
                found.append(KnownFact(relation.prompt_template, fact.subject_label, verdict.evidence.matched or label))
    if not found:
        raise DataError(
            "The ledger holds no fact that the base has right.",
            next_step="Run `kbsync probe` first, or name a file of known facts.",
        )
    return found


def trace(
    session: ResearchSession, facts: Sequence[KnownFact], source: dict[str, Any], tracing: Tracing
) -> dict[str, Any]:
    """Trace the facts that the model knows; the evidence. Every traced fact is kept, so that a run goes on where it
    was.

    Raises ``DataError`` when the model knows none of them, ``Stopped`` between two facts.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    loaded = session.app.loaded
    decoder = discover(loaded.model)
    settings = TraceSettings(
        tracing.noise,
        tracing.samples,
        default_window(len(decoder.layers)) if tracing.window is None else tracing.window,
    )
    with frozen(loaded.model):
        offered, skipped = _questions(session, decoder, facts, tracing.seed)
        sigma = embedding_std(decoder, offered)  # of all that are offered, so that more facts can be traced later
        asked = _known(session, decoder, offered, tracing.facts, skipped)
        traces = _traces(session, decoder, asked, sigma, settings, tracing.seed)
    effects = {state: average(traces, state) for state in State}
    return evidence(
        "kbsync trace",
        _figures(traces, effects),
        seed=tracing.seed,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": session.bench().loaded.reference, "fingerprint": loaded.fingerprint},
        data=source | {"traced": len(traces), "skipped": dict(skipped)},
        settings=asdict(settings) | {"sigma": sigma},
        roles=[role.value for role in Role],
        total_effect=asdict(total_effect(traces)),
        effects={
            state.value: [{role.value: asdict(e) for role, e in layer.items()} for layer in layers]
            for state, layers in effects.items()
        },
        suggestion={"layers": list(suggest(_profile(effects[State.MLP]))), "rule": RULE},
    )


def recipe_of(recipe: Recipe, name: str, document: dict[str, Any], written: Path) -> Recipe:
    """``recipe`` with the suggested layers and the trace's hash. Raises ``DataError`` where none was suggested."""
    layers = tuple(document["suggestion"]["layers"])
    if not layers:
        raise DataError(
            "No layer is suggested: restoring no MLP at the subject's last token raises the answer's probability.",
            kept="No recipe was written; the trace was.",
            next_step="Trace more facts, or choose the layers with `kbsync recipe tune`.",
        )
    chosen = layers[len(layers) // 2 :][:1] if recipe.algorithm == "rome" else layers
    return replace(recipe, name=name, layers=chosen, trace=hashlib.sha256(written.read_bytes()).hexdigest())


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a trace's evidence file suggests: layers, ascending; ``trace`` is the file's SHA-256, as a recipe records
    it."""

    layers: tuple[int, ...]
    trace: str

    def of(self, recipe: Recipe) -> Recipe:
        """``recipe``, with the trace where it edits the suggested layers."""
        return replace(recipe, trace=self.trace) if recipe.layers == self.layers else recipe


def read_suggestion(path: Path, fingerprint: str) -> Suggestion:
    """From the evidence of ``kbsync trace``. Raises ``DataError`` for another file, another model, or no layers."""
    try:
        data = path.read_bytes()
        document = json.loads(data)
        layers, model = tuple(map(int, document["suggestion"]["layers"])), str(document["model"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no trace.", next_step="`kbsync trace` writes one.") from error
    if model != fingerprint:
        raise DataError(f"{path} is the trace of another model.", next_step="Trace this one with `kbsync trace`.")
    if not layers:
        raise DataError(f"{path} suggests no layers.", next_step="Trace more facts, or name layers with --layers.")
    return Suggestion(layers, hashlib.sha256(data).hexdigest())


def write_recipe(path: Path, recipe: Recipe, document: dict[str, Any]) -> None:
    """The recipe under a comment that says where its layers came from."""
    said = (
        f"Layers suggested by `kbsync trace` of {document['model']['reference']} on {document['data']['traced']} facts "
        f"(seed {document['seed']}): {RULE}. A start for `kbsync recipe tune`."
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, recipe_text(recipe, printable(said)).encode())


def _questions(
    session: ResearchSession, decoder: Decoder, facts: Sequence[KnownFact], seed: int
) -> tuple[list[TracePrompt], Counter[str]]:
    """All facts as tokens, in the drawn order, and how many were passed over, by reason."""
    tokenizer, most = session.app.loaded.tokenizer, max_prompt_tokens(decoder)
    found: list[TracePrompt] = []
    skipped: Counter[str] = Counter()
    for fact in sorted(facts, key=lambda f: content_hash([seed, f.template, f.subject, f.answer])):
        try:
            found.append(trace_prompt(tokenizer, fact.template, fact.subject, fact.answer, most))
        except Unlocatable:
            skipped["the subject or the answer can't be located"] += 1
    if not found:
        raise DataError("No fact can be traced.", next_step="Check subjects and answers of the facts.")
    return found, skipped


def _known(
    session: ResearchSession, decoder: Decoder, offered: Sequence[TracePrompt], count: int, skipped: Counter[str]
) -> list[TracePrompt]:
    """The first ``count`` questions that the model answers rightly; those passed over are counted in ``skipped``."""
    found: list[TracePrompt] = []
    session.app.work.start("known facts", count)
    for asked in offered:
        if len(found) == count:
            break
        if knows(decoder, asked):
            found.append(asked)
            session.app.work.advance()
        else:
            skipped["the model does not know it"] += 1
    session.app.work.finish()
    if not found:
        raise DataError(
            f"The model knows none of the {len(offered)} facts.", next_step="Name facts that it answers rightly."
        )
    return found


def _traces(
    session: ResearchSession,
    decoder: Decoder,
    asked: Sequence[TracePrompt],
    sigma: float,
    settings: TraceSettings,
    seed: int,
) -> list[FactTrace]:
    parts = ResultCache(session.artifacts, "trace", EDITED_BY)
    base = {"model": session.app.loaded.fingerprint, "sigma": sigma, "settings": asdict(settings), "seed": seed}
    found = []
    session.app.work.start("trace", len(asked))
    for one in asked:
        drawn = int(content_hash([seed, list(one.ids)])[:12], 16)
        told = parts.make(
            partial(_told, decoder, one, sigma, settings, drawn), **base, question=list(asdict(one).values())
        )
        effects = {State(name): grid for name, grid in told["effects"].items()}
        found.append(FactTrace(told["clean"], told["corrupted"], tuple(Role(r) for r in told["roles"]), effects))
        session.app.work.advance()
    session.app.work.finish()
    return found


def _told(decoder: Decoder, asked: TracePrompt, sigma: float, settings: TraceSettings, seed: int) -> dict[str, Any]:
    return asdict(trace_fact(decoder, asked, sigma, settings, seed))


def _profile(layers: Sequence[dict[Role, Effect]]) -> list[float]:
    return [layer[Role.LAST_SUBJECT].value for layer in layers]


def _figures(traces: Sequence[FactTrace], effects: dict[State, list[dict[Role, Effect]]]) -> list[Figure]:
    """Where each state matters most, early (at the subject's last token) and late (at the prompt's last)."""
    figures = [
        Figure("facts", len(traces), "facts"),
        Figure("total effect", total_effect(traces).value, "probability"),
    ]
    for state, layers in effects.items():
        for role in (Role.LAST_SUBJECT, Role.LAST):
            values = [layer[role].value for layer in layers if role in layer]
            if values:
                peak = max(range(len(values)), key=lambda i: values[i])
                figures.append(Figure(f"{state.value}, {role.value}: effect", values[peak], "probability"))
                figures.append(Figure(f"{state.value}, {role.value}: layer", peak, "layer"))
    return figures
