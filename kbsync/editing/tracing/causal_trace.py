"""Causal tracing: which states carry a fact from its subject to the answer (Meng et al., NeurIPS 2022, section 2.1).

The subject's embeddings are corrupted with noise, and then one state at a time (or a window of them) is restored to
what it was without noise. Positions before the subject see no noise, and layers below a restored one don't change. So
one pass over a fact's prefix serves all of it, and each restoration runs only the layers above. All positions and
samples of noise go in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from kbsync.editing.common.prompts import Unlocatable, locate
from kbsync.editing.tracing.effects import FactTrace, State, roles
from kbsync.model.decoder import Decoder, DecoderLayer, first_tensor
from kbsync.model.hooks import by_row
from kbsync.model.suffix import Suffixes, longest_row, prepare_suffixes
from kbsync.model.tokens import encode

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class TracePrompt:
    """A prompt whose answer is traced."""

    ids: tuple[int, ...]
    """Token ids of the prompt, without the answer."""
    first: int
    """Index of the subject's first token."""
    last: int
    """Index of the subject's last token."""
    answer: int
    """Id of the answer's first token."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """How a fact is corrupted and restored."""

    noise: float = 3.0
    """Standard deviation of the noise, in units of that of the subjects' embeddings (``embedding_std``)."""
    samples: int = 10
    """Draws of noise for each fact."""
    window: int = 1
    """How many neighbouring layers' MLPs (or attentions) are restored together, around the one that is named."""


def trace_prompt(
    tokenizer: PreTrainedTokenizerFast, template: str, subject: str, answer: str, max_tokens: int
) -> TracePrompt:
    """Tokenise a fact.

    Args:
        template: With one ``{}`` for the subject.
        max_tokens: The longest prompt (``max_prompt_tokens``).

    Raises:
        Unlocatable: With the reason.
    """
    if not answer.strip():
        raise Unlocatable("the answer is empty")
    prompt = open_prompt(tokenizer, template, subject, max_tokens)
    whole = locate(tokenizer, template, subject, answer)
    return replace(prompt, answer=whole.ids[whole.target])


def open_prompt(tokenizer: PreTrainedTokenizerFast, template: str, subject: str, max_tokens: int) -> TracePrompt:
    """A prompt whose answer is not known yet (-1). Arguments and errors are those of ``trace_prompt``."""
    if template.count("{}") != 1:
        raise Unlocatable("the prompt has not exactly one place for the subject")
    located = locate(tokenizer, template, subject, None)
    before, _, after = template.partition("{}")
    (encoded,) = encode(tokenizer, [before + subject + after])
    if len(located.ids) > max_tokens:
        raise Unlocatable(f"the prompt is {len(located.ids)} tokens long, and {max_tokens} is the most")
    first = sum(end <= len(before) for end in encoded.ends)
    return TracePrompt(located.ids, first, located.lookup, -1)


@torch.no_grad()
def embedding_std(decoder: Decoder, prompts: Sequence[TracePrompt]) -> float:
    """Standard deviation of all entries of the embeddings of all subjects' tokens."""
    tokens = torch.tensor([i for p in prompts for i in p.ids[p.first : p.last + 1]], device=decoder.model.device)
    embedded: Tensor = decoder.embedding(tokens[None])
    return float(embedded.double().std())


@torch.no_grad()
def likeliest_answer(decoder: Decoder, ids: Sequence[int]) -> int:
    """The likeliest next token after a prompt."""
    suffixes = prepare_suffixes(decoder, [(ids, len(ids) - 1)], len(decoder.layers))
    return int(decoder.logits(suffixes.normed[0, 0]).argmax())


def knows(decoder: Decoder, prompt: TracePrompt) -> bool:
    """Whether the answer's first token is the likeliest."""
    return likeliest_answer(decoder, prompt.ids) == prompt.answer


def default_window(layers: int) -> int:
    """A fifth of the layers, as in the paper (10 of GPT-2 XL's 48)."""
    return max(1, round(layers / 5))


def max_prompt_tokens(decoder: Decoder) -> int:
    """The longest prompt that can be traced."""
    return longest_row(decoder) - 1


@torch.no_grad()
def trace_fact(
    decoder: Decoder, prompt: TracePrompt, sigma: float, settings: TraceSettings, seed: int, *, brief: bool = False
) -> FactTrace:
    """All effects of one fact. The model must be frozen (``hooks.frozen``).

    Args:
        sigma: The embeddings' standard deviation (``embedding_std``).
        seed: Of the noise.
        brief: Only the MLPs' effects at the subject's last token, which layers are suggested by: in a model of thirty
            layers a hundredth of the work.
    """
    states = (State.MLP,) if brief else tuple(State)
    restored = (prompt.last - prompt.first,) if brief else tuple(range(len(prompt.ids) - prompt.first))
    places = len(prompt.ids) - prompt.first
    generator = torch.Generator().manual_seed(seed)
    shape = (settings.samples, prompt.last - prompt.first + 1, decoder.hidden_size)
    noise = torch.randn(shape, generator=generator) * settings.noise * sigma
    chunks = torch.split(noise, max(1, BATCH_TOKENS // (places * len(restored))))
    by_chunk = [_NoisyRuns(decoder, prompt, chunk, settings.window, restored).probabilities(states) for chunk in chunks]
    shares = [len(chunk) / settings.samples for chunk in chunks]

    def mean(of: Callable[[_Probabilities], Tensor]) -> Tensor:
        return torch.stack([s * of(p).double() for s, p in zip(shares, by_chunk, strict=True)]).sum(dim=0)

    corrupted = mean(lambda p: p.corrupted)
    return FactTrace(
        clean=float(by_chunk[0].clean),
        corrupted=float(corrupted),
        roles=tuple(roles(prompt.first, prompt.last, len(prompt.ids))[place] for place in restored),
        effects={s: (mean(lambda p, s=s: p.restored[s]) - corrupted).tolist() for s in states},  # type: ignore[misc]
    )


@dataclass(frozen=True, slots=True)
class _Probabilities:
    """The answer's probability."""

    clean: Tensor
    """Without noise, a scalar."""
    corrupted: Tensor
    """With noise, a scalar: the mean over the samples."""
    restored: dict[State, Tensor]
    """(layers, restored places), by the kind of state that was restored."""


class _NoisyRuns:
    """One fact under some samples of noise (n, subject tokens, d).

    Places are the positions from the subject's first token on; row p·n + i of a batch restores the p-th of the places
    that are to be restored, in sample i.
    """

    def __init__(
        self, decoder: Decoder, prompt: TracePrompt, noise: Tensor, window: int, restored: Sequence[int]
    ) -> None:
        self._decoder, self._prompt, self._window = decoder, prompt, window
        self._samples, self._places = len(noise), len(restored)
        rows = self._samples * self._places
        self._all = prepare_suffixes(decoder, [(prompt.ids, prompt.first)] * rows, 0)
        self._rows = torch.arange(rows, device=self._all.hidden.device)
        column = self._all.column
        self._place = column + torch.tensor(restored, device=self._rows.device)[self._rows // self._samples]
        one_place = self._all.select(self._rows[: self._samples])
        with self._recording() as outputs:
            clean_states = self._run(one_place, one_place.whole(one_place.hidden))
        self._clean_outputs = {
            state: [by_row(o, self._samples)[0] for o in by_layer] for state, by_layer in outputs.items()
        }
        self._clean_outputs[State.RESIDUAL] = [s[0] for s in clean_states[1:]]
        noisy = one_place.whole(one_place.hidden).clone()
        noisy[:, column : column + noise.shape[1]] += noise.to(noisy)
        self._corrupted_states = self._run(one_place, noisy)
        self._clean = self._answer_probability(clean_states[-1])[0]

    def probabilities(self, states: Sequence[State]) -> _Probabilities:
        restored = {}
        for state in states:
            by_layer = [self._restored(state, layer) for layer in self._decoder.layers]
            restored[state] = torch.stack(by_layer)
        corrupted = self._answer_probability(self._corrupted_states[-1]).mean()
        return _Probabilities(self._clean, corrupted, restored)

    def _restored(self, state: State, layer: DecoderLayer) -> Tensor:
        """The answer's probability by place (places,), mean over the samples."""
        if state is State.RESIDUAL:
            hidden = self._corrupted_states[layer.index + 1].repeat(self._places, 1, 1)
            hidden[self._rows, self._place] = self._clean_outputs[state][layer.index][self._place]
            final = self._run(self._all, hidden, layer.index + 1)[-1]
        else:
            low, high = self._layers_around(layer.index)
            with ExitStack() as stack:
                for near in self._decoder.layers[low:high]:
                    clean = self._clean_outputs[state][near.index]
                    stack.enter_context(self._restoring(_module(near, state), clean))
                final = self._run(self._all, self._corrupted_states[low].repeat(self._places, 1, 1), low)[-1]
        return self._answer_probability(final).reshape(self._places, self._samples).mean(dim=1)

    def _layers_around(self, index: int) -> tuple[int, int]:
        """First layer of the window, and the one after its last; cut off at the ends."""
        low = index - self._window // 2
        return max(0, low), min(len(self._decoder.layers), low + self._window)

    def _run(self, suffixes: Suffixes, hidden: Tensor, start: int = 0) -> list[Tensor]:
        """States that enter each layer from ``start`` on, and what leaves the last."""
        states = [hidden]
        layers = self._decoder.layers[start:]
        for layer, (args, kwargs) in zip(layers, suffixes.calls[start:], strict=True):
            states.append(first_tensor(layer.module(states[-1], *args, **kwargs)))
        return states

    def _answer_probability(self, hidden: Tensor) -> Tensor:
        """After the last position, (rows,), float32."""
        logits = self._decoder.logits(self._decoder.final_norm(hidden[:, -1:]))[:, 0].float()
        return (logits[:, self._prompt.answer] - logits.logsumexp(dim=-1)).exp()

    @contextmanager
    def _recording(self) -> Iterator[dict[State, list[Tensor]]]:
        """Inside the block the outputs of MLPs and attentions are recorded, layer by layer."""
        outputs: dict[State, list[Tensor]] = {State.MLP: [], State.ATTENTION: []}
        with ExitStack() as stack:
            for layer in self._decoder.layers:
                for state, by_layer in outputs.items():
                    stack.callback(_module(layer, state).register_forward_hook(_appending_to(by_layer)).remove)
            yield outputs

    @contextmanager
    def _restoring(self, module: nn.Module, clean: Tensor) -> Iterator[None]:
        """Inside the block, each row's own place of the module's output is what it was without noise."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            plain = first_tensor(output)
            patched = plain.clone()
            by_row(patched, len(self._rows))[self._rows, self._place] = clean[self._place]
            return patched if output is plain else (patched, *output[1:])

        handle = module.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


def _appending_to(outputs: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        outputs.append(first_tensor(output))

    return hook


def _module(layer: DecoderLayer, state: State) -> nn.Module:
    return layer.mlp if state is State.MLP else layer.attention
