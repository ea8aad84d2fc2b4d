"""The names that GGUF files have for the parameters of transformers' models."""

from __future__ import annotations

from kbsync.domain.errors import ModelError
from kbsync.model.gguf_layout import library

_ARCHITECTURES = {
    "gemma3_text": "gemma3",
    "gpt_neox": "gptneox",
    "gpt2": "gpt2",
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "phi3": "phi3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "olmo2": "olmo2",
    "starcoder2": "starcoder2",
    "smollm3": "smollm3",
    "stablelm": "stablelm",
    "granite": "granite",
}
"""llama.cpp's name of an architecture, by transformers' ``model_type``."""


def architecture_of(model_type: str) -> str:
    """llama.cpp's name of an architecture.

    Args:
        model_type: As transformers' configuration has it.

    Raises:
        ModelError: kbsync does not know it.
    """
    if model_type in _ARCHITECTURES:
        return _ARCHITECTURES[model_type]
    raise ModelError(
        f"kbsync does not know what llama.cpp calls the architecture {model_type}.",
        next_step="Name a GGUF file of the base with --gguf, which says it.",
    )


def gguf_name(architecture: str, blocks: int, parameter: str) -> str | None:
    """The name of a parameter in a GGUF file.

    Args:
        architecture: llama.cpp's name of it.
        blocks: The number of layers.
        parameter: Its name in transformers' model; it ends in ``.weight``.

    Returns:
        None where the architecture has no such tensor.

    Raises:
        ModelError: The package ``gguf`` is not installed, or does not know the architecture.
    """
    gguf = library()
    known = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
    if architecture not in known:
        raise ModelError(
            f"The installed package gguf does not know the architecture {architecture!r}.",
            next_step="Upgrade it: pip install --upgrade gguf",
        )
    name = gguf.get_tensor_name_map(known[architecture], blocks).get_name(parameter.removesuffix(".weight"))
    return f"{name}.weight" if name else None
