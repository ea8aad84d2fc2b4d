"""A model that is larger than a device, or than memory: its modules are spread over devices and the disk.

transformers and accelerate do it: a module that lies on the disk, or in memory beside a GPU, is read when it runs and
let go afterwards. The answers are the same bits. What an edit changes, and the head that its search reads whole, must
stay in place. The search keeps the weights that its gradient passes, those above the first edited layer, while it runs
a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from kbsync.domain.errors import EditError, ModelError
from kbsync.model.decoder import Decoder, DecoderLayer

FOLDER = "offload"
"""In the directory of converted models: weights that were read in another dtype than they are stored in."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the modules of a model go."""

    device_map: str | Mapping[str, str]
    """``auto``, or by the beginning of a module's name its device: ``cpu``, ``cuda:0``, ``disk``."""
    max_memory: Mapping[str, str] = field(default_factory=dict)
    """For ``auto``: by device, how much of it may be used ("3GiB"). The rest goes to the disk."""

    def arguments(self, cache_dir: Path) -> dict[str, Any]:
        """As transformers takes them.

        Raises:
            ModelError: accelerate is not installed.
        """
        if find_spec("accelerate") is None:
            raise ModelError(
                "A device map needs accelerate, which is not installed.",
                next_step="Install the extra: `pip install 'kbsync[offload]'`, or leave model.device_map out.",
            )
        given = self.device_map if isinstance(self.device_map, str) else dict(self.device_map)
        limits = {int(name) if name.isdigit() else name: size for name, size in self.max_memory.items()}
        return {"device_map": given, "offload_folder": str(cache_dir / FOLDER)} | (
            {"max_memory": limits} if limits else {}
        )


def require_in_place(decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
    """Raise ``EditError`` where a device map splits an edited layer, or takes it or the head out of memory."""
    parts: dict[str, list[Tensor]] = {"the output head": [decoder.head_weight]}
    for layer in layers:
        parts[f"layer {layer.index}, which the recipe edits,"] = [*layer.module.parameters()]
    for name, parameters in parts.items():
        devices = sorted({str(parameter.device) for parameter in parameters})
        if devices != [devices[0]] or devices == ["meta"]:
            where = "puts it on the disk or beside the device" if devices == ["meta"] else f"splits it: {devices}"
            raise EditError(
                f"The device map does not leave {name} in one place: it {where}.",
                next_step="Give the whole of it one device in model.device_map, or leave the device map out.",
            )
