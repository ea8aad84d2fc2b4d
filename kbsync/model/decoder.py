"""Finds the parts of a decoder that an edit needs, by the model's structure and by watching one small forward pass.

No class name and no module name is known here; what counts is what the forward pass did. The layers are the repeated
blocks. The attention, or what stands for it in a hybrid, is the child that takes an attention mask. The edited map is
the last linear map that ran in the MLP (``edited_map`` says what it is in a mixture of experts). A norm between MLP and
residual stream (Gemma 2 and 3, OLMo 2) is the module that got the MLP's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import ModelError
from kbsync.model.decoder_checks import adds_plainly, keeps_keys
from kbsync.model.edited_map import edited_map
from kbsync.model.watched_pass import PROBE_LENGTH, Call, linear_maps_in, owns_parameters, probe_ids, watch

_FACTOR = 1e-3
"""How far from 1 the factor of the logits may seem to be by rounding."""


@dataclass(frozen=True, slots=True)
class DownProjection:
    """The linear map W that an edit changes, back to the width of the residual stream.

    It is the MLP's last one; in a mixture of experts that of the shared expert, or else the attention's last one.
    """

    name: str
    """The full name of the parameter W."""
    module: nn.Module
    transposed: bool
    """Whether W is stored (in, out), as Conv1D does."""

    @property
    def weight(self) -> Tensor:
        """W as an (out, in) view of its storage, however it is stored."""
        stored: Tensor = self.module.weight  # type: ignore[assignment]
        return stored.T if self.transposed else stored


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """One block."""

    index: int
    module: nn.Module
    attention: nn.Module
    mlp: nn.Module
    down: DownProjection
    post_mlp_norm: nn.Module | None
    """The norm between the MLP and the residual stream; None where there is none."""
    direct: bool = True
    """Whether what ``down`` puts out is added to the residual stream as it is, without a norm, a factor or a gate, and
    nothing else in the layer reads it."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """The parts of a causal language model in the order in which a token meets them."""

    model: PreTrainedModel
    embedding: nn.Module
    layers: tuple[DecoderLayer, ...]
    final_norm: nn.Module
    head: nn.Module
    splits: bool = True
    """Whether a text can be run from its middle on: every layer keeps keys and values of each token. A recurrent or
    convolutional layer keeps a state instead, so hybrids run texts from their beginning."""
    logit_factor: float = 1.0
    """What the head's output is multiplied by (Granite, Cohere)."""

    @property
    def hidden_size(self) -> int:
        """The width d of the residual stream."""
        return self.layers[0].down.weight.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.layers[0].down.weight.dtype

    @property
    def head_weight(self) -> Tensor:
        """The output head's weight (vocabulary, d)."""
        return self.head.weight  # type: ignore[return-value]

    @property
    def head_bias(self) -> Tensor | None:
        """The output head's bias (vocabulary,), or None."""
        return self.head.bias  # type: ignore[return-value]

    @property
    def soft_cap(self) -> float | None:
        """The bound of the logits, ``cap · tanh(logits / cap)``; None without one (Gemma 2 has one)."""
        config = self.model.config.get_text_config()
        return getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)

    def logits(self, normed: Tensor) -> Tensor:
        """Compute logits (..., vocabulary) from outputs of the final norm (..., d)."""
        logits: Tensor = self.head(normed)
        if self.logit_factor != 1.0:
            logits = logits * self.logit_factor
        return logits if self.soft_cap is None else torch.tanh(logits / self.soft_cap) * self.soft_cap

    def edited_layers(self, indices: Sequence[int]) -> tuple[DecoderLayer, ...]:
        """The layers with these indices, ascending.

        Raises:
            ModelError: no index is given, one is given twice, or there is no such layer.
        """
        ordered = sorted(indices)
        if not ordered or len(set(ordered)) != len(ordered) or ordered[0] < 0 or ordered[-1] >= len(self.layers):
            raise ModelError(
                f"Layers {list(indices)} can't be edited in a model with layers 0 to {len(self.layers) - 1}.",
                next_step="Name existing layers, each once, in the recipe.",
            )
        return tuple(self.layers[i] for i in ordered)


def first_tensor(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The tensor that a module put out: some blocks return it alone, some as the first of a tuple."""
    return output if isinstance(output, Tensor) else output[0]


def discover(model: PreTrainedModel) -> Decoder:
    """Find the decoder's parts, and check on small forward passes that they do what an edit takes for granted.

    Raises:
        ModelError: the weights are quantised, an MLP is not one chain of linear maps that ends in one down projection,
            a layer has no MLP (Mamba), what the edited map puts out does not reach every token, or the logits are not
            made by one norm and one head.
    """
    training = model.training
    nn.Module.eval(model)  # with dropout nothing would arrive as it was put out
    try:
        return _discover(model)
    except ModelError:
        raise
    except Exception as error:  # a model is a program: what is not a decoder fails with whatever its code raises
        raise _unknown(
            model, f"it fails on a text of {PROBE_LENGTH} tokens ({type(error).__name__}: {error})"
        ) from error
    finally:
        model.train(training)


def _discover(model: PreTrainedModel) -> Decoder:
    _refuse_quantised(model)
    calls, logits = watch(model)
    blocks_name, blocks = _blocks(model, calls)
    names = {id(module): name for name, module in model.named_modules()}
    layers = tuple(_layer(i, block, f"{blocks_name}.{i}", calls, names) for i, block in enumerate(blocks))
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, nn.Linear):
        raise _unknown(model, "its output head is not one linear map")
    last = calls[id(blocks[-1])].output
    inside = {id(m) for block in blocks for m in block.modules()}
    norms = [
        c.module
        for c in calls.values()
        if c.reads(last) and id(c.module) not in inside and c.module is not head and owns_parameters(c.module)
    ]
    if len(norms) != 1:
        raise _unknown(model, f"{len(norms)} modules read the last layer's output, not one final norm")
    decoder = Decoder(
        model=model,
        embedding=model.get_input_embeddings(),
        layers=layers,
        final_norm=norms[0],
        head=head,
        splits=keeps_keys(model, len(layers), probe_ids(model)),
    )
    if not torch.isfinite(logits).all():
        raise ModelError("The model's logits are not finite.", next_step="Get its files again; a weight is damaged.")
    return _with_logit_factor(decoder, last, logits)


@torch.no_grad()
def _with_logit_factor(decoder: Decoder, last: Tensor, logits: Tensor) -> Decoder:
    """The same with the factor by which the head's output becomes ``logits``; ``last`` is the last layer's output."""
    again = decoder.logits(decoder.final_norm(last))
    if decoder.soft_cap is None:
        factor = float((again.double() * logits.double()).sum() / again.double().square().sum().clamp(min=1e-30))
        if abs(factor - 1) > _FACTOR:
            decoder, again = replace(decoder, logit_factor=factor), again * factor
    if not torch.allclose(again, logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
        raise _unknown(decoder.model, "its logits are not head(final norm(last layer))")
    return decoder


def _blocks(model: PreTrainedModel, calls: Mapping[int, Call]) -> tuple[str, nn.ModuleList]:
    """Name and modules of the decoder's stack: the one ``ModuleList`` with the configured length all of whose blocks
    have linear maps and ran for a text (those for pictures did not)."""
    count = model.config.get_text_config().num_hidden_layers
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and all(linear_maps_in(block) and id(block) in calls for block in module)
    ]
    outer = [(n, m) for n, m in stacks if not any(n != o and n.startswith(o + ".") for o, _ in stacks)]
    if len(outer) != 1:
        raise _unknown(model, f"{len(outer)} stacks of {count} layers were found, not one")
    return outer[0]


def _layer(index: int, block: nn.Module, name: str, calls: dict[int, Call], names: dict[int, str]) -> DecoderLayer:
    found = edited_map(index, block, name, calls)
    down = DownProjection(f"{names[id(found.linear)]}.weight", found.linear, isinstance(found.linear, Conv1D))
    if not down.weight.is_floating_point() or down.weight.ndim != 2:
        raise ModelError(
            f"{down.name} is quantised ({down.weight.dtype}); an edit of it would not be what was computed.",
            next_step="Load the model in float32 or bfloat16.",
        )
    result = calls[id(found.child)].output
    norms = [m for m in block.children() if id(m) in calls and calls[id(m)].reads(result) and owns_parameters(m)]
    norm, call = norms[0] if norms else None, calls[id(block)]
    plainly = adds_plainly(f"Layer {index}", block, norm or down.module, call.args, call.kwargs, call.output)
    return DecoderLayer(index, block, found.attention, found.mlp, down, norm, direct=plainly and norm is None)


def _refuse_quantised(model: PreTrainedModel) -> None:
    quantised = getattr(model, "is_quantized", False) or getattr(model.config, "quantization_config", None) is not None
    if quantised or getattr(model, "hf_quantizer", None) is not None:
        raise ModelError(
            "The model's weights are quantised; an edit of them would not be what was computed.",
            next_step="Load the model in float32 or bfloat16.",
        )


def _unknown(model: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} is not a decoder that kbsync can edit: {reason}.",
        next_step="Choose a plain decoder-only causal language model.",
    )
