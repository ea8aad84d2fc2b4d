"""``kbsync trace``: chooses facts, traces each, averages the effects, and writes a recipe with the suggested layers."""

from __future__ import annotations

import hashlib
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
"""How layers are suggested, in the words of the evidence and of the recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How much is traced, and how."""

    facts: int = 100
    """The most facts that are traced: the first that the model knows, in an order that ``seed`` draws."""
    samples: int = 10
    """Samples of noise for each fact."""
    noise: float = 3.0
    """Strength of the noise, in standard deviations of the subjects' embeddings."""
    window: int | None = None
    """MLPs or attentions that are restored together; None: a fifth of the layers."""
    seed: int = 0


def ledger_facts(app: App) -> list[KnownFact]:
    """Watched facts that the base has right, after their relation's prompt, by the ledger's verdicts."""
    fingerprint = app.loaded.fingerprint
    with app.ledger.read() as tx:
        believed, found = believed_facts(tx, app.framed, fingerprint), []
        for key, (relation, fact) in believed.watched.items():
            verdict = believed.verdicts.get(key)
            label = fact.answers[0].label
            if verdict and verdict.evidence.right_after_prompt and fact.subject_label and label:
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
    """Trace the facts that the model knows. Every traced fact is kept, so that a killed run goes on where it was.

    Args:
        session: The model and the store of finished parts.
        facts: What may be traced.
        source: What the evidence says about where the facts come from.
        tracing: How much is traced, and how.

    Returns:
        The evidence document.

    Raises:
        DataError: The model knows none of the facts.
        Stopped: A stop was asked for; raised between two facts.
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
        prompts, skipped = _prompts(session, decoder, facts, tracing.seed)
        sigma = embedding_std(decoder, prompts)  # of all prompts, so that it stays the same when more are traced later
        known = _known(session, decoder, prompts, tracing.facts, skipped)
        traces = _traces(session, decoder, known, sigma, settings, tracing.seed)
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
    """``recipe`` with the suggested layers and the trace's hash. Raises ``DataError`` if no layer is suggested."""
    layers = tuple(document["suggestion"]["layers"])
    if not layers:
        raise DataError(
            "No layer is suggested: restoring no MLP at the subject's last token raises the answer's probability.",
            kept="No recipe was written; the trace was.",
            next_step="Trace more facts, or choose the layers with `kbsync recipe tune`.",
        )
    chosen = layers[len(layers) // 2 :][:1] if recipe.algorithm == "rome" else layers
    return replace(recipe, name=name, layers=chosen, trace=hashlib.sha256(written.read_bytes()).hexdigest())


def write_recipe(path: Path, recipe: Recipe, document: dict[str, Any]) -> None:
    """Write the recipe below a comment about where its layers come from."""
    comment = (
        f"Layers suggested by `kbsync trace` of {document['model']['reference']} on {document['data']['traced']} facts "
        f"(seed {document['seed']}): {RULE}. `kbsync recipe tune` tries them beside others."
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, recipe_text(recipe, printable(comment)).encode())


def _prompts(
    session: ResearchSession, decoder: Decoder, facts: Sequence[KnownFact], seed: int
) -> tuple[list[TracePrompt], Counter[str]]:
    """All facts as tokens, in the drawn order, and how many were left out, by reason."""
    tokenizer, most = session.app.loaded.tokenizer, max_prompt_tokens(decoder)
    prompts: list[TracePrompt] = []
    skipped: Counter[str] = Counter()
    for fact in sorted(facts, key=lambda f: content_hash([seed, f.template, f.subject, f.answer])):
        try:
            prompts.append(trace_prompt(tokenizer, fact.template, fact.subject, fact.answer, most))
        except Unlocatable:
            skipped["the subject or the answer can't be located"] += 1
    if not prompts:
        raise DataError("No fact can be traced.", next_step="Check subjects and answers of the facts.")
    return prompts, skipped


def _known(
    session: ResearchSession, decoder: Decoder, offered: Sequence[TracePrompt], count: int, skipped: Counter[str]
) -> list[TracePrompt]:
    """The first ``count`` prompts that the model answers rightly; the others before them are counted in ``skipped``."""
    known: list[TracePrompt] = []
    session.app.work.start("known facts", count)
    for prompt in offered:
        if len(known) == count:
            break
        if knows(decoder, prompt):
            known.append(prompt)
            session.app.work.advance()
        else:
            skipped["the model does not know it"] += 1
    session.app.work.finish()
    if not known:
        raise DataError(
            f"The model knows none of the {len(offered)} facts.", next_step="Name facts that it answers rightly."
        )
    return known


def _traces(
    session: ResearchSession,
    decoder: Decoder,
    prompts: Sequence[TracePrompt],
    sigma: float,
    settings: TraceSettings,
    seed: int,
) -> list[FactTrace]:
    parts = ResultCache(session.artifacts, "trace", EDITED_BY)
    base = {"model": session.app.loaded.fingerprint, "sigma": sigma, "settings": asdict(settings), "seed": seed}
    traces = []
    session.app.work.start("trace", len(prompts))
    for prompt in prompts:
        noise_seed = int(content_hash([seed, list(prompt.ids)])[:12], 16)
        kept = parts.make(
            partial(_traced, decoder, prompt, sigma, settings, noise_seed),
            **base,
            question=list(asdict(prompt).values()),
        )
        effects = {State(name): grid for name, grid in kept["effects"].items()}
        traces.append(FactTrace(kept["clean"], kept["corrupted"], tuple(Role(r) for r in kept["roles"]), effects))
        session.app.work.advance()
    session.app.work.finish()
    return traces


def _traced(decoder: Decoder, prompt: TracePrompt, sigma: float, settings: TraceSettings, seed: int) -> dict[str, Any]:
    return asdict(trace_fact(decoder, prompt, sigma, settings, seed))


def _profile(layers: Sequence[dict[Role, Effect]]) -> list[float]:
    return [layer[Role.LAST_SUBJECT].value for layer in layers]


def _figures(traces: Sequence[FactTrace], effects: dict[State, list[dict[Role, Effect]]]) -> list[Figure]:
    """The largest effect of each state and its layer, at the subject's last token and at the prompt's last token."""
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
