"""What a model in memory is, as one hash; part of every cache key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.model.fingerprint import VOLATILE


def model_fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 over the weights, the configuration and the tokenizer, as they are now.

    It takes a second or so for each gigabyte of weights.
    """
    digest = hashlib.sha256()
    config = {key: value for key, value in model.config.to_dict().items() if key not in VOLATILE}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    first_name: dict[tuple[object, ...], str] = {}
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride())
        if place in first_name:  # tied weights are read once
            digest.update(f"is {first_name[place]}\n".encode())
        else:
            first_name[place] = name
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> Any:
    """The tensor's bytes, not copied where it is on the CPU and contiguous."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
