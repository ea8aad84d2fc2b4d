"""A text-to-image pipeline as a base: its fingerprint, its text states, and the matrices that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import ConfigError, ModelError
from kbsync.model.digests import Digests
from kbsync.model.fingerprint import lasting
from kbsync.model.model_files import read_json

BINARY = (".safetensors", ".txt", ".model")
"""Endings of the files, beside JSON, that a pipeline consists of."""
BATCH = 16
"""Prompts that are encoded, or denoised, at once."""


@dataclass(frozen=True, slots=True)
class TextStates:
    """What the denoiser reads of some prompts."""

    hidden: Tensor
    """(n, tokens, d), float32."""
    pooled: Tensor | None
    """(n, p) of pipelines with a second text encoder; None for others. It goes past the cross-attention."""
    last: tuple[int, ...]
    """Position of each prompt's last token, the one before the end token."""


class CrossAttention(NamedTuple):
    """Names of one cross-attention's two matrices that read the text."""

    key: str
    value: str


class TextToImage:
    """A pipeline whose denoiser reads the text by cross-attention, with one text encoder or two (as SDXL has)."""

    def __init__(self, pipeline: Any, fingerprint: str) -> None:
        """Take a pipeline as it is.

        Args:
            pipeline: Of diffusers; has ``unet`` or ``transformer``, ``tokenizer`` and ``encode_prompt``.
            fingerprint: Hash of its files.

        Raises:
            ModelError: Its denoiser has no cross-attention whose keys and values are read from the text's states.
        """
        self.pipeline = pipeline
        self.fingerprint = fingerprint
        self.denoiser: Any = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
        if self.denoiser is None or not callable(getattr(pipeline, "encode_prompt", None)):
            raise _unfit(f"{type(pipeline).__name__} has no denoiser that reads a prompt")
        self.denoiser.eval()
        self.pipeline.set_progress_bar_config(disable=True)
        if not self.layers:
            raise _unfit(f"the denoiser {type(self.denoiser).__name__} has no cross-attention with a text alone")

    @cached_property
    def layers(self) -> tuple[CrossAttention, ...]:
        """The cross-attentions in the order of the denoiser's modules; a recipe's ``layers`` count them from 0."""
        found = []
        for name, module in self.denoiser.named_modules():
            if not getattr(module, "is_cross_attention", False):
                continue
            for part in ("to_k", "to_v"):
                weight = getattr(getattr(module, part, None), "weight", None)
                if not isinstance(weight, nn.Parameter) or not weight.is_floating_point() or weight.ndim != 2:
                    raise _unfit(f"{name}.{part} is no plain matrix (quantised, or wrapped by an adapter)")
                if weight.shape[1] != self.width:
                    raise _unfit(f"{name}.{part} reads {weight.shape[1]} numbers, the text has {self.width}")
            found.append(CrossAttention(f"{name}.to_k.weight", f"{name}.to_v.weight"))
        return tuple(found)

    @cached_property
    def width(self) -> int:
        """Length d of a text state."""
        return int(self.states(["a"]).hidden.shape[-1])

    def flaw(self, prompt: str) -> str:
        """Why a prompt can't be read whole; empty where it can."""
        tokenizer = self.pipeline.tokenizer
        count = len(tokenizer(prompt).input_ids) - 2
        if count < 1:
            return f"{prompt!r} gives no token"
        room = tokenizer.model_max_length - 2
        return f"{prompt!r} has {count} tokens, and the text encoder reads {room}" if count > room else ""

    @torch.no_grad()
    def states(self, prompts: Sequence[str]) -> TextStates:
        """Encode prompts, each padded to the encoder's length."""
        rows, pooled = [], []
        for start in range(0, len(prompts), BATCH):
            encoded = self.pipeline.encode_prompt(
                prompt=list(prompts[start : start + BATCH]),
                device=self.pipeline.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=False,
            )
            rows.append(encoded[0].float())
            if len(encoded) == 4:
                pooled.append(encoded[2].float())
        last = tuple(len(self.pipeline.tokenizer(prompt).input_ids) - 2 for prompt in prompts)
        return TextStates(torch.cat(rows), torch.cat(pooled) if pooled else None, last)

    def weight(self, name: str) -> Tensor:
        """A parameter of the denoiser, (out, in)."""
        weight: Tensor = self.denoiser.get_parameter(name).detach()
        return weight

    @property
    def latent(self) -> tuple[int, int, int]:
        """Channels, height and width of what is denoised."""
        config = self.denoiser.config
        return config.in_channels, config.sample_size, config.sample_size

    @property
    def side(self) -> int:
        """Height and width of a picture, in pixels."""
        return int(self.latent[1] * getattr(self.pipeline, "vae_scale_factor", 8))


def load_pipeline(directory: Path, digests: Digests) -> TextToImage:
    """Load a pipeline from its directory, in float32.

    Args:
        directory: What ``save_pretrained`` wrote.
        digests: Remembers the digests of its files.

    Raises:
        ConfigError: The extra ``images`` is not installed.
        ModelError: The directory holds no pipeline, weights that are not safetensors, code of its own, or a pipeline
            that can't be edited.
    """
    try:
        import diffusers
    except ImportError as error:
        raise ConfigError(
            [f"pictures need diffusers, which is not installed ({error})"],
            next_step="Install the extra: `pip install 'kbsync[images]'`.",
        ) from error
    fingerprint = pipeline_fingerprint(directory, digests)
    kind: Any = diffusers.DiffusionPipeline
    try:
        pipeline = kind.from_pretrained(
            directory, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, AttributeError, ImportError) as error:
        raise ModelError(f"{directory} can't be loaded as a pipeline: {error}.") from error
    return TextToImage(pipeline, fingerprint)


def pipeline_fingerprint(directory: Path, digests: Digests) -> str:
    """SHA-256 over the content of all files of a pipeline; raises ``ModelError`` where there is none."""
    if not (directory / "model_index.json").is_file():
        raise ModelError(
            f"{directory} holds no pipeline: model_index.json is missing.",
            next_step="Name a directory that diffusers' `save_pretrained` wrote.",
        )
    content: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.suffix == ".json":
            content[name] = {k: v for k, v in lasting(read_json(path)).items() if k != "_diffusers_version"}
        elif path.suffix in BINARY:
            content[name] = digests.of(path)
    return content_hash(content)


def _unfit(reason: str) -> ModelError:
    return ModelError(
        f"The pipeline can't be edited: {reason}.",
        next_step="Pipelines of the kinds of Stable Diffusion and SDXL can.",
    )
