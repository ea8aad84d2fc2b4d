"""Reads a GGUF file with transformers and saves the model as safetensors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kbsync.domain.errors import ModelError
from kbsync.model.bounded_build import bounded_build
from kbsync.model.checks import require_complete
from kbsync.model.config_checks import MOST_PARTS
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
        with quiet(), _read_once() as read, bounded_build(str(file), *_size(read(str(file)), file)):
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
    except ModelError:
        raise
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


def _size(reader: Any, file: Path) -> tuple[int, int]:
    """How many tensors a GGUF file holds, and how many numbers these have; raises ``ModelError`` where it counts more
    blocks, heads or experts than that."""
    tensors = len(reader.tensors)
    for name, field in reader.fields.items():
        if name.endswith("_count") and name.partition(".")[0] not in ("GGUF", "split", "general"):
            value = field.contents()
            if isinstance(value, int) and value > max(MOST_PARTS, tensors):
                raise ModelError(
                    f"{file} says {name} = {value}, and it has {tensors} tensors.", next_step="Fetch the model again."
                )
    return tensors, sum(int(tensor.n_elements) for tensor in reader.tensors)


@contextmanager
def _read_once() -> Iterator[Callable[[str], Any]]:
    """Inside the block, parse a GGUF file once; what is yielded parses it.

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

    once = lru_cache(maxsize=1)(Reader)
    package.GGUFReader = once  # type: ignore[attr-defined]
    try:
        yield once
    finally:
        package.GGUFReader = plain  # type: ignore[attr-defined]
