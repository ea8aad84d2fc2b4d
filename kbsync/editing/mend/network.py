"""The network that maps the parts of a gradient to those of a change (Mitchell et al., ICLR 2022, equation 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from kbsync.editing.mend.gradients import LinearMap, TokenGradients

FIRST_RATE = 1e-4
"""α of each weight at the beginning, as published."""
LEAST_DEVIATION = 1e-7
"""Added to a standard deviation before something is divided by it, as published."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation of each entry of u and δ over the training facts' tokens."""

    mean: Tensor
    """(in + out,)"""
    deviation: Tensor
    """(in + out,)"""


def moments(gradients: Sequence[TokenGradients]) -> Moments:
    """Over all tokens of all the facts."""
    rows = torch.cat([torch.cat([g.inputs, g.by_outputs], dim=1) for g in gradients]).double()
    return Moments(rows.mean(dim=0).float(), rows.std(dim=0, correction=0).float())


class _SharedLayers(nn.Module):
    """U₁, V₁, b, U₂ and V₂, shared by all weights of one shape."""

    def __init__(self, width: int, rank: int, draw: torch.Generator) -> None:
        super().__init__()
        rank = min(rank, width)

        def drawn() -> nn.Parameter:
            bound = (6 / (rank + width)) ** 0.5  # Glorot and Bengio (2010)
            return nn.Parameter((torch.rand(rank, width, generator=draw) * 2 - 1) * bound)

        self.v1, self.v2 = drawn(), drawn()
        self.u1, self.u2 = (nn.Parameter(torch.zeros(width, rank)) for _ in range(2))
        self.b = nn.Parameter(torch.zeros(width))


class _OwnScales(nn.Module):
    """s₁, o₁, s₂, o₂ and α of one weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.s1, self.s2 = (nn.Parameter(torch.ones(width)) for _ in range(2))
        self.o1, self.o2 = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.alpha = nn.Parameter(torch.tensor(FIRST_RATE))


class MendNetwork(nn.Module):
    """One network for each shape of weight, with scales for each weight. U is zero at the beginning, so that an
    untrained network changes weights along the normalised gradient."""

    def __init__(self, shapes: Mapping[str, tuple[int, int]], rank: int, seed: int) -> None:
        """``shapes``: (out, in) by the parameter's name. ``rank``: the hidden rank (published: 1,920)."""
        super().__init__()
        self._names = {name: str(n) for n, name in enumerate(sorted(shapes))}
        self._shapes = dict(shapes)
        draw = torch.Generator().manual_seed(seed)
        self.shared = nn.ModuleDict(
            {_of(shape): _SharedLayers(sum(shape), rank, draw) for shape in sorted(set(shapes.values()))}
        )
        self.own = nn.ModuleDict({self._names[name]: _OwnScales(sum(shape)) for name, shape in shapes.items()})
        for name, shape in shapes.items():
            self.register_buffer(f"mean_{self._names[name]}", torch.zeros(sum(shape)))
            self.register_buffer(f"deviation_{self._names[name]}", torch.ones(sum(shape)))

    @classmethod
    def for_maps(cls, maps: Sequence[LinearMap], rank: int, seed: int) -> MendNetwork:
        """A new one for these weights, on their device."""
        made = cls({one.name: (one.weight.shape[0], one.weight.shape[1]) for one in maps}, rank, seed)
        return made.to(maps[0].weight.device)

    def normalise_by(self, measured: Mapping[str, Moments]) -> None:
        """Take mean and deviation, by the parameter's name."""
        for name, found in measured.items():
            self.get_buffer(f"mean_{self._names[name]}").copy_(found.mean)
            self.get_buffer(f"deviation_{self._names[name]}").copy_(found.deviation)

    def change(self, name: str, gradients: TokenGradients) -> tuple[Tensor, Tensor]:
        """The change of one weight, −α Σ δ̃ ũᵀ, as left (out, n) and right (n, in)."""
        number, shape = self._names[name], self._shapes[name]
        shared, own = self._parts(number, shape)
        raw = torch.cat([gradients.inputs, gradients.by_outputs], dim=1).float()
        mean, deviation = self.get_buffer(f"mean_{number}"), self.get_buffer(f"deviation_{number}")
        z = (raw - mean) / (deviation + LEAST_DEVIATION)
        h = z + torch.relu(own.s1 * (z @ shared.v1.T @ shared.u1.T + shared.b) + own.o1)
        g = h + torch.relu(own.s2 * (h @ shared.v2.T @ shared.u2.T) + own.o2)
        inputs, by_outputs = g[:, : shape[1]], g[:, shape[1] :]
        return -own.alpha * by_outputs.T, inputs

    @property
    def alphas(self) -> list[nn.Parameter]:
        """α of each weight; they are learned at a rate of their own."""
        return [own.alpha for own in self.own.values() if isinstance(own, _OwnScales)]

    def _parts(self, number: str, shape: tuple[int, int]) -> tuple[_SharedLayers, _OwnScales]:
        shared, own = self.shared[_of(shape)], self.own[number]
        if not isinstance(shared, _SharedLayers) or not isinstance(own, _OwnScales):
            raise TypeError("a MEND network holds other modules than its own")
        return shared, own

    def to_bytes(self) -> bytes:
        """As safetensors."""
        return save({name: tensor.contiguous() for name, tensor in self.state_dict().items()})

    def load_bytes(self, data: bytes) -> None:
        """Take what ``to_bytes`` gave of a network of the same shapes and rank."""
        self.load_state_dict(load(data))


def _of(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
