"""Whether a GGUF file holds the weights of a base, or those of another quantisation of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import EditError
from kbsync.model.gguf_layout import GgufLayout, mapped, values_of
from kbsync.model.gguf_names import gguf_name

_ROWS = 64
"""Number of rows that are compared of a tensor that is not edited."""
_SAME = 0.003
"""Rounding to bfloat16 gives 0.0015, rounding to Q8_0 0.005."""
_OTHER_MODEL = 0.7
"""Rounding to Q2_K gives some 0.3, weights that have nothing to do with each other 1.4."""
_ARRANGED = ("attn_q.weight", "attn_k.weight")
"""Their rows may stand in another order, as the architecture's rotary embedding wants it."""
KEPT = {"Q3_K": 56, "Q5_K": 99}
"""By the type to which a version was rounded, how many of its ``KEPT_OF`` edited facts it kept in the demonstration
(``requantised.q3_k_m.edited`` and the like in ``docs/results/serving.json``)."""
KEPT_OF = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufComparison:
    """What was found."""

    names: dict[str, str]
    """By edited parameter, its name in the file."""
    differences: dict[str, float]
    """‖file − base‖ / ‖base‖ (Frobenius) by the names of the file, for every tensor that was compared."""
    types: dict[str, str]
    """The type of each of them: ``Q4_K``."""

    @property
    def same(self) -> bool:
        """Whether the file holds the base's weights."""
        return max(self.differences.values()) <= _SAME

    @property
    def warning(self) -> str:
        """What it costs to serve the version on this file; empty where it holds the base's weights."""
        if self.same:
            return ""
        far = max(self.differences, key=lambda name: self.differences[name])
        kinds = sorted({self.types[n] for n, d in self.differences.items() if d > _SAME})
        kept = min((KEPT[k] for k in kinds if k in KEPT), default=None)
        cost = (
            f" In the demonstration, a version that was rounded to {'/'.join(kinds)} kept {kept} of {KEPT_OF} facts."
            if kept
            else ""
        )
        return (
            f"The GGUF is another quantisation than the edited base ({', '.join(kinds)}): its weights differ by up to "
            f"{self.differences[far]:.2%} ({far}).{cost} `kbsync check-served` measures what the server answers; to "
            "lose nothing, set model.reference to this file and edit it."
        )


def compare(layout: GgufLayout, model: PreTrainedModel, edited: Collection[str]) -> GgufComparison:
    """Compare a file with a base: the edited tensors whole, the first rows of the others.

    Raises:
        EditError: An edited tensor is missing in the file, has another shape, or is another model's.
        ModelError: The file's types can't be read.
    """
    names: dict[str, str] = {}
    differences: dict[str, float] = {}
    types: dict[str, str] = {}
    present = {tensor.name: tensor for tensor in layout.tensors}
    with mapped(layout.file) as data:
        for parameter, weight in model.named_parameters():
            name = gguf_name(layout.architecture, layout.blocks, parameter)
            tensor = present.get(name or "")
            base = _as_rows(model, parameter, weight)
            fits = tensor is not None and tensor.shape == tuple(base.shape) and base.ndim == 2
            if parameter in edited:
                if not fits or tensor is None or tensor.name.endswith(_ARRANGED):
                    raise _foreign(layout, parameter, name)
                names[parameter] = tensor.name
            elif not fits or tensor is None or tensor.name.endswith(_ARRANGED):
                continue
            rows = slice(None) if parameter in edited else slice(_ROWS)
            difference = _relative(values_of(data, tensor, rows), base[rows].detach().float().cpu().numpy())
            if parameter in edited and difference > _OTHER_MODEL:
                raise _foreign(layout, parameter, name)
            differences[tensor.name], types[tensor.name] = difference, tensor.type_name
    if missing := set(edited) - names.keys():
        raise _foreign(layout, min(missing), None)
    return GgufComparison(names=names, differences=differences, types=types)


def _as_rows(model: PreTrainedModel, parameter: str, weight: Tensor) -> Tensor:
    """The weight as (out, in)."""
    owner = model.get_submodule(parameter.rpartition(".")[0])
    return weight.T if isinstance(owner, Conv1D) else weight


def _relative(found: np.ndarray, base: np.ndarray) -> float:
    size = float(np.linalg.norm(base))
    return float(np.linalg.norm(found - base)) / size if size else float(np.linalg.norm(found))


def _foreign(layout: GgufLayout, parameter: str, name: str | None) -> EditError:
    return EditError(
        f"{layout.file} does not hold {parameter} of the edited base" + (f" (its {name} is another)." if name else "."),
        next_step="Name a GGUF file of the base that the version was built on.",
    )
