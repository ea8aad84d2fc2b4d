"""Keeps the progress bars and warnings of transformers and the hub client off stderr: kbsync has its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import modeling_gguf_pytorch_utils
from transformers.utils import logging

from kbsync.model.quiet_hub import quiet_hub

_settings: Any = logging
_gguf_reader: Any = modeling_gguf_pytorch_utils


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block transformers logs errors only and draws no bar; afterwards its settings are as before."""
    verbosity, bars = _settings.get_verbosity(), _settings.is_progress_bar_enabled()
    gguf_bar = _gguf_reader.tqdm  # the GGUF reader draws a bar whatever the settings say
    _settings.set_verbosity_error()
    _settings.disable_progress_bar()
    _gguf_reader.tqdm = functools.partial(gguf_bar, disable=True)
    try:
        with quiet_hub():
            yield
    finally:
        _gguf_reader.tqdm = gguf_bar
        _settings.set_verbosity(verbosity)
        if bars:
            _settings.enable_progress_bar()
