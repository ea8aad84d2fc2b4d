"""Finds the parts of a decoder that an edit needs, by the model's structure and by watching one small forward pass.

No class name and no module name is known here; what counts is what the forward pass did. The layers are the repeated
blocks. The attention is the child that takes an attention mask. The down projection is the last linear map that ran in
the MLP. A norm between MLP and residual stream (Gemma 2 and 3, OLMo 2) is the module that got the MLP's output.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import ModelError
from kbsync.model.decoder_checks import require_attention, require_plain_sum

PROBE_LENGTH = 3
"""Tokens of the pass that is watched; more than one, so that logits and states have a length to compare."""


@dataclass(frozen=True, slots=True)
class DownProjection:
    """The MLP's last linear map W, from the intermediate width back to the residual stream."""

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


@dataclass(frozen=True, slots=True)
class Decoder:
    """The parts of a causal language model in the order in which a token meets them."""

    model: PreTrainedModel
    embedding: nn.Module
    layers: tuple[DecoderLayer, ...]
    final_norm: nn.Module
    head: nn.Module

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
        return getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)

    def logits(self, normed: Tensor) -> Tensor:
        """Compute logits (..., vocabulary) from outputs of the final norm (..., d)."""
        logits: Tensor = self.head(normed)
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
        ModelError: the weights are quantised, the model is a mixture of experts, its MLP is not one chain of linear
            maps that ends in one down projection, a layer is no attention (recurrent models and hybrids), or what an
            MLP puts out reaches the residual stream or the logits otherwise than unchanged.
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
    blocks_name, blocks = _blocks(model)
    calls, logits = _watch(model)
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
        if c.reads(last) and id(c.module) not in inside and c.module is not head and _owns_parameters(c.module)
    ]
    if len(norms) != 1:
        raise _unknown(model, f"{len(norms)} modules read the last layer's output, not one final norm")
    decoder = Decoder(
        model=model, embedding=model.get_input_embeddings(), layers=layers, final_norm=norms[0], head=head
    )
    if not torch.isfinite(logits).all():
        raise ModelError("The model's logits are not finite.", next_step="Get its files again; a weight is damaged.")
    with torch.no_grad():
        again = decoder.logits(decoder.final_norm(last))
    if not torch.allclose(again, logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max())):
        raise _unknown(model, "its logits are not head(final norm(last layer))")
    require_attention(model, len(layers), _probe(model))
    for layer in layers:
        block = calls[id(layer.module)]
        last_of_mlp = layer.post_mlp_norm or layer.down.module
        require_plain_sum(f"Layer {layer.index}", layer.module, last_of_mlp, block.args, block.kwargs, block.output)
    return decoder


@dataclass(frozen=True, slots=True)
class _Call:
    """The last call of a module in the pass that was watched."""

    module: nn.Module
    order: int
    """The number of calls that returned before this one."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors among the arguments."""
        return tuple(t for t in (*self.args, *self.kwargs.values()) if isinstance(t, Tensor))

    def reads(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` was among the inputs."""
        return any(t.data_ptr() == tensor.data_ptr() and t.numel() == tensor.numel() for t in self.inputs)


def _watch(model: PreTrainedModel) -> tuple[dict[int, _Call], Tensor]:
    """Run ``PROBE_LENGTH`` tokens; returns the last call of each module by the module's id, and the logits.

    The calls keep all tensors alive, so that no two of them share an address.
    """
    calls: dict[int, _Call] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        tensor = output[0] if isinstance(output, tuple) and output else output
        if isinstance(tensor, Tensor):
            calls[id(module)] = _Call(module, len(calls), args, kwargs, tensor)

    handles = [m.register_forward_hook(note, with_kwargs=True) for m in model.modules()]
    training = model.training
    try:
        nn.Module.eval(model)
        with torch.no_grad():
            logits: Tensor = model(input_ids=_probe(model), use_cache=False).logits
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return calls, logits


def _probe(model: PreTrainedModel) -> Tensor:
    ids: Tensor = torch.arange(PROBE_LENGTH, device=model.device)[None] % model.config.get_text_config().vocab_size
    return ids


def _blocks(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Name and modules of the decoder's stack: the one ``ModuleList`` of equal blocks with the configured length."""
    count = model.config.get_text_config().num_hidden_layers
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and len({type(block) for block in module}) == 1
        and any(_linears(block) for block in module)
    ]
    outer = [(n, m) for n, m in stacks if not any(n != o and n.startswith(o + ".") for o, _ in stacks)]
    if len(outer) != 1:
        raise _unknown(model, f"{len(outer)} stacks of {count} equal layers were found, not one")
    return outer[0]


def _layer(index: int, block: nn.Module, name: str, calls: dict[int, _Call], names: dict[int, str]) -> DecoderLayer:
    children = [(f"{name}.{n}", m) for n, m in block.named_children() if _linears(m) or _expert_like(m)]
    attentions = [m for _, m in children if "attention_mask" in inspect.signature(m.forward).parameters]
    mlps = [(n, m) for n, m in children if all(m is not a for a in attentions)]
    if len(attentions) != 1 or len(mlps) != 1:
        raise ModelError(
            f"Layer {index} has {len(attentions)} attention modules and {len(mlps)} MLP modules, not one of each.",
            next_step="Choose a model with plain decoder layers.",
        )
    mlp_name, mlp = mlps[0]
    if _expert_like(mlp):
        raise ModelError(
            f"{mlp_name} is a mixture of experts; its facts are not in one down projection.",
            next_step="Choose a dense model.",
        )
    ran = [m for m in _linears(mlp) if id(m) in calls]
    if not ran or id(mlp) not in calls:
        raise ModelError(f"{mlp_name} holds no linear map that ran.", next_step="Choose a model with a plain MLP.")
    module = max(ran, key=lambda m: calls[id(m)].order)
    down = DownProjection(f"{names[id(module)]}.weight", module, isinstance(module, Conv1D))
    if not down.weight.is_floating_point() or down.weight.ndim != 2:
        raise ModelError(
            f"{down.name} is quantised ({down.weight.dtype}); an edit of it would not be what was computed.",
            next_step="Load the model in float32 or bfloat16.",
        )
    result = calls[id(mlp)].output
    norms = [m for m in block.children() if id(m) in calls and calls[id(m)].reads(result) and _owns_parameters(m)]
    return DecoderLayer(index, block, attentions[0], mlp, down, norms[0] if norms else None)


def _linears(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, nn.Linear | Conv1D)]


def _owns_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _expert_like(module: nn.Module) -> bool:
    """Whether the module holds lists of sub-networks, or weights with an axis for experts."""
    return any(isinstance(m, nn.ModuleList) for m in module.modules()) or any(p.ndim > 2 for p in module.parameters())


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
