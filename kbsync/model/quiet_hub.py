"""Keeps the progress bars and warnings of the hub client off stderr: kbsync has its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import huggingface_hub.utils

_hub: Any = huggingface_hub.utils


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Inside the block the hub client shows nothing; afterwards its settings are as before."""
    bars = not _hub.are_progress_bars_disabled()
    _hub.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if bars:
            _hub.enable_progress_bars()
