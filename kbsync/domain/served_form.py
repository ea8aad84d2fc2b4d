"""Forms in which a version is served and whose rounding kbsync can do itself."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.errors import DataError

FLOATS = ("bfloat16", "float16")
"""All weights are rounded to these."""
BLOCKS = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
"""Types of GGUF files in which 32 neighbouring weights of a row share a scale; from the finest to the coarsest."""
ADAPTER = "+lora"
"""After the name of a rounding: only the base is rounded, and the change stands beside it, unrounded."""

ROUNDED_FORMS = (*FLOATS, *BLOCKS, *(f"{kind}{ADAPTER}" for kind in (*FLOATS, *BLOCKS)))
"""Names of all of them."""


@dataclass(frozen=True, slots=True)
class ServedForm:
    """How the weights of a version are rounded before they are served."""

    kind: str
    """One of ``FLOATS`` or ``BLOCKS``."""
    adapter: bool = False
    """The base is rounded, and the change is not. Otherwise the edited weights are rounded as all others."""

    @classmethod
    def named(cls, name: str) -> ServedForm:
        """Read ``q4_0`` or ``q4_0+lora``. Raises ``DataError`` for another name."""
        kind = name.removesuffix(ADAPTER)
        if name not in ROUNDED_FORMS:
            raise DataError(
                f"{name!r} is no form whose rounding kbsync knows.",
                next_step=f"Name one of {', '.join(FLOATS + BLOCKS)}, or one of them with {ADAPTER} after it.",
            )
        return cls(kind, adapter=name != kind)
