"""Traces facts of the ledger, and says in which layers an edit should be tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from transformers import PreTrainedTokenizerFast

from kbsync.domain.canonical import canonical_json, content_hash
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
from kbsync.editing.tracing.effects import Effect, FactTrace, Role, State, average, suggest
from kbsync.model.decoder import Decoder, discover
from kbsync.model.hooks import frozen
from kbsync.model.load import LoadedModel
from kbsync.ports import UNWATCHED, ArtifactStore, LayerTrace, LayerTracer, TracedFact, Work

FORMAT = 1
"""Part of every key: traces of another format are not found."""
KIND = "traces"
"""The kind of artifact that keeps one traced fact."""
SAMPLES = 4
"""Draws of noise for each fact. The paper takes ten; the average over the facts is what counts here."""


class TorchLayerTracer(LayerTracer):
    """Traces in a transformers model. Each traced fact is kept, so that a killed run goes on where it was."""

    def __init__(self, loaded: LoadedModel, artifacts: ArtifactStore) -> None:
        self._loaded, self._artifacts = loaded, artifacts

    def trace(self, facts: Sequence[TracedFact], *, work: Work = UNWATCHED) -> LayerTrace:
        decoder = discover(self._loaded.model)
        settings = TraceSettings(samples=SAMPLES, window=default_window(len(decoder.layers)))
        with frozen(self._loaded.model):
            prompts = _located(decoder, self._loaded.tokenizer, facts)
            known = [prompt for prompt in prompts if knows(decoder, prompt)]
            work.start("trace", len(known))
            sigma = embedding_std(decoder, known) if known else 0.0
            traces = [self._traced(decoder, prompt, sigma, settings, work) for prompt in known]
            work.finish()
        nowhere = Effect(0.0, 0.0, 0)
        profile = [layer.get(Role.LAST_SUBJECT, nowhere).value for layer in average(traces, State.MLP)]
        return LayerTrace(
            facts=len(traces),
            layers=len(decoder.layers),
            suggested=suggest(profile),
            bounded=not all(layer.direct for layer in decoder.layers),
            key_width=max(int(layer.down.weight.shape[1]) for layer in decoder.layers),
        )

    def _traced(
        self, decoder: Decoder, prompt: TracePrompt, sigma: float, settings: TraceSettings, work: Work
    ) -> FactTrace:
        question = [FORMAT, self._loaded.fingerprint, sigma, asdict(settings), list(asdict(prompt).values())]
        key = content_hash(question)
        stored = self._artifacts.get(KIND, key)
        if stored is None:
            made = asdict(trace_fact(decoder, prompt, sigma, settings, int(key[:12], 16), brief=True))
            self._artifacts.put(KIND, key, stored := canonical_json(made).encode())
        kept = json.loads(stored)
        work.advance()
        effects = {State(name): grid for name, grid in kept["effects"].items()}
        return FactTrace(kept["clean"], kept["corrupted"], tuple(map(Role, kept["roles"])), effects)


def _located(decoder: Decoder, tokenizer: PreTrainedTokenizerFast, facts: Sequence[TracedFact]) -> list[TracePrompt]:
    """The facts as tokens; those whose subject or answer can't be located are left out."""
    most, prompts = max_prompt_tokens(decoder), []
    for fact in facts:
        try:
            prompts.append(trace_prompt(tokenizer, fact.template, fact.subject, fact.answer, most))
        except Unlocatable:
            continue
    return prompts
