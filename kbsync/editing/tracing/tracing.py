"""Causal tracing: which states carry a fact from its subject to the answer (Meng et al., NeurIPS 2022, section 2.1).

The subject's embeddings are corrupted with noise, and then one state at a time (or a window of them) is put back to what it
was without noise. Positions before the subject see no noise and layers below a restored one don't change, so one pass over
a fact's prefix serves all of it, and each restoration runs only the layers above. All positions and samples of noise go
in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from kbsync.editing.subject import Unlocatable, locate
from kbsync.editing.tracing.effects import FactTrace, State, roles
from kbsync.model.decoder import Decoder, DecoderLayer, first_tensor
from kbsync.model.suffix import Suffixes, longest, prepare
from kbsync.model.tokens import encode

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as ids, the places of the subject's first and last token, and the answer's first token."""

    ids: tuple[int, ...]
    first: int
    last: int
    answer: int


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """``noise``: standard deviation of what corrupts, in units of that of the subjects' embeddings; ``samples`` of it a
    fact; ``window``: so many layers' MLPs (or attentions) are restored together, around the one that is named."""

    noise: float = 3.0
    samples: int = 10
    window: int = 1


def question(tokenizer: PreTrainedTokenizerFast, template: str, subject: str, answer: str, most: int) -> Question:
    """Raises ``Unlocatable`` with the reason; ``most`` is the longest prompt in tokens."""
    if template.count("{}") != 1 or not answer.strip():
        raise Unlocatable("no place for the subject in the prompt, or an empty answer")
    found = locate(tokenizer, template, subject, answer)
    before, _, after = template.partition("{}")
    (prompt,) = encode(tokenizer, [before + subject + after])
    first = sum(end <= len(before) for end in prompt.ends)
    if found.target > most:
        raise Unlocatable(f"the prompt is {found.target} tokens long, and {most} is the most")
    return Question(found.ids[: found.target], first, found.lookup, found.ids[found.target])


@torch.no_grad()
def deviation(decoder: Decoder, questions: Sequence[Question]) -> float:
    """Standard deviation of all entries of the embeddings of all subjects' tokens."""
    tokens = torch.tensor([i for q in questions for i in q.ids[q.first : q.last + 1]], device=decoder.model.device)
    embedded: Tensor = decoder.embedding(tokens[None])
    return float(embedded.double().std())


@torch.no_grad()
def knows(decoder: Decoder, asked: Question) -> bool:
    """Whether the answer's first token is the likeliest."""
    found = prepare(decoder, [(asked.ids, len(asked.ids) - 1)], len(decoder.layers))
    return int(decoder.logits(found.normed[0, 0]).argmax()) == asked.answer


def default_window(layers: int) -> int:
    """A fifth of the layers, as in the paper (10 of GPT-2 XL's 48)."""
    return max(1, round(layers / 5))


@torch.no_grad()
def trace_fact(decoder: Decoder, asked: Question, sigma: float, settings: TraceSettings, seed: int) -> FactTrace:
    """All effects of one fact. ``sigma``: what ``deviation`` gave; the model must be frozen (``hooks.frozen``)."""
    places = len(asked.ids) - asked.first
    generator = torch.Generator().manual_seed(seed)
    shape = (settings.samples, asked.last - asked.first + 1, decoder.hidden_size)
    noise = torch.randn(shape, generator=generator) * settings.noise * sigma
    chunks = torch.split(noise, max(1, BATCH_TOKENS // places**2))
    made = [_Chunk(decoder, asked, chunk, settings.window).run() for chunk in chunks]
    weights = [len(chunk) / settings.samples for chunk in chunks]

    def mean(of: Callable[[_Probabilities], Tensor]) -> Tensor:
        return torch.stack([w * of(m).double() for w, m in zip(weights, made, strict=True)]).sum(dim=0)

    corrupted = mean(lambda m: m.corrupted)
    return FactTrace(
        clean=float(made[0].clean),
        corrupted=float(corrupted),
        roles=roles(asked.first, asked.last, len(asked.ids)),
        effects={s: (mean(lambda m, s=s: m.restored[s]) - corrupted).tolist() for s in State},  # type: ignore[misc]
    )


@dataclass(frozen=True, slots=True)
class _Probabilities:
    """Of the answer: scalars, and (layers, places) by state."""

    clean: Tensor
    corrupted: Tensor
    restored: dict[State, Tensor]


class _Chunk:
    """Some samples of noise (N, subject, d) for one fact; row p·N + n of a batch restores place p of sample n."""

    def __init__(self, decoder: Decoder, asked: Question, noise: Tensor, window: int) -> None:
        self._decoder, self._asked, self._window = decoder, asked, window
        self._samples, self._places = len(noise), len(asked.ids) - asked.first
        rows = self._samples * self._places
        self._all = prepare(decoder, [(asked.ids, asked.first)] * rows, 0)
        self._rows = torch.arange(rows, device=self._all.hidden.device)
        self._place = self._rows // self._samples
        few = self._all.select(self._rows[: self._samples])
        with self._watching() as outputs:
            clean = self._climb(few, few.hidden)
        self._outputs = {kind: [o[0] for o in found] for kind, found in outputs.items()}
        self._outputs[State.RESIDUAL] = [s[0] for s in clean[1:]]
        moved = few.hidden.clone()
        moved[:, : noise.shape[1]] += noise.to(moved)
        self._corrupted = self._climb(few, moved)
        self._clean = self._probability(clean[-1])[0]

    def run(self) -> _Probabilities:
        restored = {}
        for state in State:
            by_layer = [self._restored(state, layer) for layer in self._decoder.layers]
            restored[state] = torch.stack(by_layer)
        return _Probabilities(self._clean, self._probability(self._corrupted[-1]).mean(), restored)

    def _restored(self, state: State, layer: DecoderLayer) -> Tensor:
        """The answer's probability by place (places,), mean over the samples."""
        if state is State.RESIDUAL:
            hidden = self._corrupted[layer.index + 1].repeat(self._places, 1, 1)
            hidden[self._rows, self._place] = self._outputs[state][layer.index][self._place]
            final = self._climb(self._all, hidden, layer.index + 1)[-1]
        else:
            low, high = self._around(layer.index)
            with ExitStack() as stack:
                for near in self._decoder.layers[low:high]:
                    stack.enter_context(self._restoring(_module(near, state), self._outputs[state][near.index]))
                final = self._climb(self._all, self._corrupted[low].repeat(self._places, 1, 1), low)[-1]
        return self._probability(final).reshape(self._places, self._samples).mean(dim=1)

    def _around(self, index: int) -> tuple[int, int]:
        """First layer of the window, and the one after its last; cut off at the ends."""
        low = index - self._window // 2
        return max(0, low), min(len(self._decoder.layers), low + self._window)

    def _climb(self, suffixes: Suffixes, hidden: Tensor, start: int = 0) -> list[Tensor]:
        """States that enter each layer from ``start`` on, and what leaves the last."""
        states = [hidden]
        layers = self._decoder.layers[start:]
        for layer, (args, kwargs) in zip(layers, suffixes.calls[start:], strict=True):
            states.append(first_tensor(layer.module(states[-1], *args, **kwargs)))
        return states

    def _probability(self, hidden: Tensor) -> Tensor:
        """Of the answer after the last position, (rows,), float32."""
        logits = self._decoder.logits(self._decoder.final_norm(hidden[:, -1:]))[:, 0].float()
        return (logits[:, self._asked.answer] - logits.logsumexp(dim=-1)).exp()

    @contextmanager
    def _watching(self) -> Iterator[dict[State, list[Tensor]]]:
        """Inside the block, what MLPs and attentions put out is noted, layer by layer."""
        seen: dict[State, list[Tensor]] = {State.MLP: [], State.ATTENTION: []}
        with ExitStack() as stack:
            for layer in self._decoder.layers:
                for kind, found in seen.items():
                    stack.callback(_module(layer, kind).register_forward_hook(_noting(found)).remove)
            yield seen

    @contextmanager
    def _restoring(self, module: nn.Module, clean: Tensor) -> Iterator[None]:
        """Inside the block, every row's own place of the module's output is what it was without noise."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            plain = first_tensor(output)
            patched = plain.clone()
            patched[self._rows, self._place] = clean[self._place]
            return patched if output is plain else (patched, *output[1:])

        handle = module.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


def _noting(found: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        found.append(first_tensor(output))

    return hook


def _module(layer: DecoderLayer, state: State) -> nn.Module:
    return layer.mlp if state is State.MLP else layer.attention


def most_tokens(decoder: Decoder) -> int:
    """The longest prompt that can be traced."""
    return longest(decoder) - 1
