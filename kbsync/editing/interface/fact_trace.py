"""Causal tracing of facts of a model in memory (Meng et al., NeurIPS 2022, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.domain.errors import DataError
from kbsync.editing.common.prompts import Unlocatable
from kbsync.editing.interface.model_edit import require_fast
from kbsync.editing.tracing import causal_trace
from kbsync.editing.tracing.causal_trace import TracePrompt, TraceSettings
from kbsync.editing.tracing.effects import Effect, FactTrace, Role, State, average, suggest
from kbsync.model.decoder import Decoder, discover
from kbsync.model.hooks import frozen


@dataclass(frozen=True, slots=True)
class TracedFact:
    """One traced fact, ready to be drawn: rows are layers, columns are tokens."""

    prompt: str
    """The prompt with its subject."""
    answer: str
    """The token whose probability was traced."""
    tokens: tuple[str, ...]
    """The prompt's tokens from the subject's first one on, with a ``*`` behind those of the subject."""
    trace: FactTrace
    """Probabilities, token roles and effects."""

    @property
    def clean(self) -> float:
        """The answer's probability without noise."""
        return self.trace.clean

    @property
    def corrupted(self) -> float:
        """The answer's probability with noise on the subject."""
        return self.trace.corrupted

    @property
    def effects(self) -> Mapping[State, Sequence[Sequence[float]]]:
        """Indirect effects by state, layer and token: how much of the probability comes back when that state is
        restored."""
        return self.trace.effects


def trace_fact(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    subject: str,
    answer: str | None = None,
    *,
    noise: float = 3.0,
    samples: int = 10,
    window: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
) -> TracedFact:
    """Corrupt a prompt's subject with noise, and restore one state at a time. The model comes out as it was.

    Args:
        template: The prompt, with one ``{}`` for the subject.
        answer: Its first token is traced; None: the token that the model says.
        noise: Standard deviation of the noise, in units of ``sigma``.
        samples: Draws of noise, of which the mean is taken.
        window: How many neighbouring layers' MLPs or attentions are restored together; None: a fifth of the layers, as
            in the paper.
        sigma: Standard deviation of the subjects' embeddings (``embedding_std``); None: of this subject's.
        seed: Of the noise.

    Raises:
        DataError: Subject or answer can't be located in the tokens, or the prompt is too long.
        ModelError: The model's structure is not known.
    """
    require_fast(tokenizer)
    decoder = discover(model)
    with frozen(model):
        prompt = _prompt(decoder, tokenizer, template, subject, answer)
        scale = causal_trace.embedding_std(decoder, [prompt]) if sigma is None else sigma
        layers = causal_trace.default_window(len(decoder.layers)) if window is None else window
        trace = causal_trace.trace_fact(decoder, prompt, scale, TraceSettings(noise, samples, layers), seed)
    words = [str(tokenizer.decode([i])) for i in prompt.ids[prompt.first :]]
    subject_words = prompt.last - prompt.first + 1
    return TracedFact(
        prompt=template.replace("{}", subject),
        answer=str(tokenizer.decode([prompt.answer])),
        tokens=tuple(f"{word}*" if i < subject_words else word for i, word in enumerate(words)),
        trace=trace,
    )


def embedding_std(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Iterable[tuple[str, str]]
) -> float:
    """Standard deviation of the embeddings of all subjects' tokens, for ``trace_fact``'s ``sigma``.

    Args:
        prompts: Template and subject of each.

    Raises:
        DataError: A subject can't be located in the tokens.
    """
    decoder = discover(model)
    with frozen(model):
        located = [_prompt(decoder, tokenizer, template, subject, None) for template, subject in prompts]
        return causal_trace.embedding_std(decoder, located)


def average_effects(facts: Sequence[TracedFact], state: State) -> list[dict[Role, Effect]]:
    """Average indirect effects with 95 % intervals, by layer and token role (figure 2 of the paper)."""
    return average([fact.trace for fact in facts], state)


def suggest_layers(facts: Sequence[TracedFact], share: float = 0.5) -> tuple[int, ...]:
    """Layers to edit: those around the peak of the MLPs' effect at the subject's last token.

    Args:
        share: They have at least this share of the peak.

    Returns:
        A run of layers, ascending; empty where no MLP brings back any probability.
    """
    effects = average_effects(facts, State.MLP)
    return suggest([layer[Role.LAST_SUBJECT].value for layer in effects], share)


def _prompt(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, template: str, subject: str, answer: str | None
) -> TracePrompt:
    most = causal_trace.max_prompt_tokens(decoder)
    try:
        if answer is not None:
            return causal_trace.trace_prompt(tokenizer, template, subject, answer, most)
        prompt = causal_trace.open_prompt(tokenizer, template, subject, most)
    except Unlocatable as reason:
        raise DataError(f"The fact can't be traced: {reason}.", kept="") from reason
    return replace(prompt, answer=causal_trace.likeliest_answer(decoder, prompt.ids))
