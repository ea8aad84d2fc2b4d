"""``[evaluate]``: in which forms a candidate is measured beside float32."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from kbsync.config.publishing import EngineSettings
from kbsync.config.section import Section
from kbsync.config.values import Text
from kbsync.config.values import unique as no_doubles
from kbsync.domain.served_form import BLOCKS, FLOATS

FORM = rf"^({'|'.join(FLOATS + BLOCKS)}|gguf|gguf-lora|[a-z0-9_]+\+lora)$"


class EvaluateSettings(Section):
    """The forms in which a version is served."""

    served_as: Annotated[tuple[Annotated[str, Field(pattern=FORM)], ...], AfterValidator(no_doubles)] = ()
    """``bfloat16``, ``float16`` (all weights rounded after the edit), ``q8_0``, ``q5_1``, ``q5_0``, ``q4_1``, ``q4_0``
    (all matrices rounded after the edit, as llama-quantize does), ``gguf`` (the base's GGUF file with the edited
    tensors replaced), ``gguf-lora`` (that file with an adapter), or the latter with the file's type: ``q4_k_m+lora``.
    The gate's thresholds on efficacy, generalization, specificity and known_kept must hold in each of them, too."""
    server: tuple[Text, ...] = ()
    """For GGUF forms the llama.cpp server with ``{port}``, ``{directory}`` and ``{adapter}``; empty: that of
    ``release.engine``."""

    def require_server(self, engine: EngineSettings | None) -> None:
        """Raise ``ValueError`` where a GGUF form is wanted and no server can load it."""
        needed = any("gguf" in form or "+" in form for form in self.served_as)
        if needed and not self.server and not (engine and engine.command):
            raise ValueError("evaluate.served_as names a GGUF form: set evaluate.server to a llama.cpp command")
