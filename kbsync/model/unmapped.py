"""Reads safetensors tensor by tensor instead of mapping the whole file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import modeling_utils

_reader: Any = modeling_utils


@contextmanager
def unmapped() -> Iterator[None]:
    """Inside the block transformers reads each tensor into memory of its own.

    Where the weights are held in another dtype than the file's, each tensor is copied in any case, and the pages of a
    mapped file count as this process's memory until the last one is there: 7 GB beside the 3.6 GB of a model of 1.5
    billion parameters in bfloat16. transformers asks safetensors for this by itself on some systems only, and has no
    setting for it.
    """
    original = _reader.safe_open
    _reader.safe_open = lambda *args, **options: original(*args, **{**options, "backend": "pread"})
    try:
        yield
    finally:
        _reader.safe_open = original
