"""Loads a causal language model from a package, a GGUF file, a directory or the hub.

Only safetensors are read, and no code that comes with a model is run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from kbsync.domain.errors import ModelError
from kbsync.model.attention import group_queries
from kbsync.model.bounded_build import bounded_build
from kbsync.model.checks import require_complete
from kbsync.model.config_checks import require_loadable
from kbsync.model.digests import digests_in
from kbsync.model.fingerprint import fingerprint
from kbsync.model.model_files import read_json
from kbsync.model.quiet import quiet
from kbsync.model.reference import model_directory
from kbsync.model.spread import Spread
from kbsync.model.stored_dtypes import STORED_DTYPES
from kbsync.model.tokens import require_offsets, without_panic
from kbsync.model.unmapped import unmapped
from kbsync.ports import UNWATCHED, Work
from kbsync.system.memory import map_large_blocks
from kbsync.system.messages import first_line

CAUSAL = frozenset(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
WRAPPERS = frozenset(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values()) - CAUSAL
"""Classes that hold a text decoder beside encoders of pictures (Qwen VL, Llama 4, LLaVA). They are loaded whole, so
that an export is a model of the same kind."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model with everything that belongs to it."""

    model: PreTrainedModel
    """In evaluation mode, with parameters that require no gradient."""
    tokenizer: PreTrainedTokenizerFast
    fingerprint: str
    """What ``kbsync.model.fingerprint`` computes from the files."""
    reference: str
    """What the user wrote to name the model."""
    directory: Path
    """Where its safetensors files lie."""


def load(
    reference: str,
    *,
    cache_dir: Path,
    device: str = "auto",
    dtype: str = "float32",
    spread: Spread | None = None,
    work: Work = UNWATCHED,
) -> LoadedModel:
    """Load a causal language model.

    Args:
        reference: One of: ``package:<name>``, an installed package that carries a GGUF file; a path ending in
            ``.gguf``; a local directory with ``config.json``, a fast tokenizer and safetensors; ``<owner>/<name>`` or
            ``<owner>/<name>@<revision>`` on the Hugging Face hub.
        cache_dir: Keeps converted GGUF files and remembered digests. The hub's own cache stays where HF_HOME says.
        device: ``auto`` (CUDA where there is one, else the CPU), or a device as torch names it.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        spread: Where the parts of a model go that is too large for one device, instead of ``device``.
        work: Shows the conversion of a GGUF file.

    Raises:
        ModelError: there is no such model, it can't be read, or it is not a causal language model in full precision.
    """
    torch_dtype, torch_device = _dtype(dtype), None if spread else _device(device)
    if spread is not None:
        map_large_blocks()
    digests = digests_in(cache_dir)
    directory = model_directory(reference, cache_dir, digests, work)
    model = _model(directory, torch_dtype, spread.arguments(cache_dir) if spread else {})
    tokenizer = _tokenizer(directory)
    if torch_device is not None:
        _place(model, torch_device)
    nn.Module.eval(model).requires_grad_(False)
    group_queries(model)
    return LoadedModel(model, tokenizer, fingerprint(directory, dtype, digests), reference, directory)


def _model(directory: Path, dtype: torch.dtype, placing: Mapping[str, Any]) -> PreTrainedModel:
    """Read the weights; a parameter that is missing is an error. ``placing``: arguments that say where they go."""
    tensors = require_loadable(directory, CAUSAL | WRAPPERS)
    wrapped = not WRAPPERS.isdisjoint(read_json(directory / "config.json").get("architectures") or [])
    auto: Any = AutoModelForImageTextToText if wrapped else AutoModelForCausalLM
    as_stored = all(STORED_DTYPES.get(tensor.dtype) == dtype for tensor in tensors)
    reading = nullcontext() if as_stored else unmapped()
    try:
        with quiet(), reading, bounded_build(str(directory), len(tensors), sum(t.numbers for t in tensors)):
            loaded: Any = auto.from_pretrained(
                directory,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **placing,
            )
    except ModelError:
        raise
    except Exception as error:  # transformers meets a stranger's configuration with whatever its code raises
        raise ModelError(
            f"{directory} can't be loaded: {first_line(error) or type(error).__name__}",
            next_step="Check that the files are whole and that transformers knows the architecture.",
        ) from error
    require_complete(loaded[1], str(directory))
    model: PreTrainedModel = loaded[0]
    return model


def _tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """The fast tokenizer; a slow one does not tell which characters a token stands for."""
    try:
        with quiet(), without_panic():
            tokenizer: Any = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # the Rust tokenizer raises bare Exception on a damaged tokenizer.json
        raise ModelError(
            f"The tokenizer of {directory} can't be read: {first_line(error)}",
            next_step="Put the model's tokenizer.json and tokenizer_config.json there.",
        ) from error
    require_offsets(tokenizer, str(directory))
    fast: PreTrainedTokenizerFast = tokenizer
    return fast


def _place(model: PreTrainedModel, device: torch.device) -> None:
    """Move the weights to the device."""
    try:
        nn.Module.to(model, device)
    except RuntimeError as error:
        raise ModelError(
            f"The model does not go to {device}: {first_line(error)}",
            next_step="Use a device with more memory, or cpu.",
        ) from error


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ModelError(f"{name!r} is not a dtype that kbsync loads.", next_step=f"Use one of {', '.join(DTYPES)}.")
    return DTYPES[name]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"There is no device {name!r} here: {first_line(error)}", next_step="Use auto, cpu or cuda:<number>."
        ) from error
    return device
