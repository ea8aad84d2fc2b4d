"""Reads a GGUF file with transformers and saves the model as safetensors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kbsync.domain.errors import ModelError
from kbsync.model.checks import require_complete
from kbsync.model.quiet import quiet
from kbsync.system.messages import first_line


def convert(file: Path, directory: Path) -> None:
    """De-quantise a GGUF file to float32, and save it with its tokenizer.

    Nothing is lost: every value of a GGUF file is a product of two shorter floats.

    Args:
        directory: Where the safetensors, the configuration and the tokenizer are written.

    Raises:
        ModelError: the file is damaged, incomplete, or of an architecture that transformers does not read from GGUF.
    """
    try:
        with quiet(), _read_once():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                trust_remote_code=False,
                output_loading_info=True,
            )
            model = loaded[0]
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    except Exception as error:  # its reader meets damage with whatever its parsing raises, struct.error for one
        raise ModelError(
            f"{file} can't be read as GGUF: {first_line(error)}",
            next_step="Check that the file is whole and of an architecture that transformers reads from GGUF.",
        ) from error
    require_complete(loaded[1], str(file))
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with quiet():
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)


@contextmanager
def _read_once() -> Iterator[None]:
    """Inside the block, parse a GGUF file once.

    transformers parses it for the configuration, the weights and the tokenizer each, and a large vocabulary takes a
    quarter of a minute every time.
    """
    package = importlib.import_module("gguf")
    plain: Any = package.GGUFReader

    class Reader(plain):  # type: ignore[misc]
        """Reads plain memory: each of a million slices of a numpy memmap would cost more than reading what is in it."""

        data: Any

        def _get(self, *args: Any, **kwargs: Any) -> Any:
            self.data = self.data.view(numpy.ndarray)
            return super()._get(*args, **kwargs)

    package.GGUFReader = lru_cache(maxsize=1)(Reader)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        package.GGUFReader = plain  # type: ignore[attr-defined]
