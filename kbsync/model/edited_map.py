"""Which linear map of a layer an edit changes: one that every token passes.

In a dense layer that is the MLP's down projection. In a mixture of experts a token passes the experts that the router
chose for it, and the same subject in other words passes others. What every token passes there is the shared expert,
where the family has one, and else the attention's output projection.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from kbsync.domain.errors import ModelError
from kbsync.model.watched_pass import Call, linear_maps_in, outermost

_FEWEST_MAPS = 2
"""Linear maps of an MLP: a single one is a router's or a gate's."""


@dataclass(frozen=True, slots=True)
class EditedMap:
    """What was found in one layer."""

    attention: nn.Module
    """Of several side by side (Falcon H1), the last."""
    mlp: nn.Module
    """The MLP, or the mixture of experts."""
    linear: nn.Module
    """The map: of the MLP, of a shared expert, or of the attention."""

    @property
    def child(self) -> nn.Module:
        """The layer's part that the map belongs to: ``attention`` or ``mlp``."""
        return self.mlp if any(part is self.linear for part in self.mlp.modules()) else self.attention


def edited_map(index: int, layer: nn.Module, name: str, calls: Mapping[int, Call]) -> EditedMap:
    """Find the map.

    Args:
        index: The layer's.
        layer: One block of the decoder.
        name: Its full name.
        calls: What each module did in a small pass, by the module's id.

    Raises:
        ModelError: The layer is no attention with one MLP or one mixture of experts, or no map of it ran for every
            token.
    """
    children = [(f"{name}.{n}", m) for n, m in layer.named_children() if linear_maps_in(m) or expert_like(m)]
    attentions = [m for _, m in children if "attention_mask" in inspect.signature(m.forward).parameters]
    others = [(n, m) for n, m in children if all(m is not a for a in attentions)]
    if attentions and len(others) == 1 and not expert_like(others[0][1]):
        (mlp_name, mlp), attention = others[0], attentions[-1]
        return EditedMap(attention, mlp, _last_map(mlp_name, mlp, calls))
    width = calls[id(layer)].output.shape[-1]
    shared = _dense_parts([m for _, m in others], width, calls)
    experts = [m for _, m in others if expert_like(m)]
    if len(attentions) != 1 or not others or len(shared) > 1 or not (shared or experts):
        raise ModelError(
            f"Layer {index} has {len(attentions)} attention modules and {len(others)} MLP modules, not one of each.",
            next_step="Choose a model with plain decoder layers.",
        )
    attention, part = attentions[0], shared[0] if shared else attentions[0]
    linear = _last_map(name, part, calls)
    if not _for_every_token(linear, width, calls):
        raise ModelError(
            f"{name} is a mixture of experts, and its attention does not end in one linear map.",
            next_step="Choose a dense model.",
        )
    holding = [m for _, m in others if any(inner is part for inner in m.modules())]
    return EditedMap(attention, (holding or experts)[0], linear)


def expert_like(module: nn.Module) -> bool:
    """Whether the module holds lists of sub-networks, or weights with an axis for experts."""
    return any(isinstance(m, nn.ModuleList) for m in module.modules()) or any(p.ndim > 2 for p in module.parameters())


def _dense_parts(modules: list[nn.Module], width: int, calls: Mapping[int, Call]) -> list[nn.Module]:
    """The outermost parts that are MLPs, no mixtures, no experts of one, and that every token passes."""
    experts = {
        id(m) for one in modules for many in one.modules() if isinstance(many, nn.ModuleList) for m in many.modules()
    }
    found = []
    for part in (p for one in modules for p in one.modules() if id(p) in calls and id(p) not in experts):
        maps = linear_maps_in(part)
        if len(maps) >= _FEWEST_MAPS and not expert_like(part):
            last = max((m for m in maps if id(m) in calls), key=lambda m: calls[id(m)].order, default=None)
            if last is not None and _for_every_token(last, width, calls):
                found.append(part)
    return list(outermost(found))


def _for_every_token(linear: nn.Module, width: int, calls: Mapping[int, Call]) -> bool:
    """Whether a map put out ``width`` numbers for each token of the pass."""
    whole = max(
        call.output.numel() for call in calls.values() if call.output.shape[-1] == width and call.output.ndim > 2
    )
    output = calls[id(linear)].output
    return output.shape[-1] == width and output.numel() == whole


def _last_map(name: str, part: nn.Module, calls: Mapping[int, Call]) -> nn.Module:
    ran = [m for m in linear_maps_in(part) if id(m) in calls]
    if not ran or id(part) not in calls:
        raise ModelError(f"{name} holds no linear map that ran.", next_step="Choose a model with a plain MLP.")
    return max(ran, key=lambda m: calls[id(m)].order)
