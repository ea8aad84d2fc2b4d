"""Checks that every way to read a model shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbsync.domain.errors import ModelError


def require_complete(loading_info: Mapping[str, Any], place: str) -> None:
    """Raise ``ModelError`` for a model with missing parameters, which transformers fills with random numbers.

    Args:
        loading_info: What ``from_pretrained`` tells about the loading.
        place: Where the model was read from, for the error's text.
    """
    missing = sorted(loading_info["missing_keys"])
    if missing:
        raise ModelError(
            f"{place} lacks {len(missing)} of the model's parameters, the first is {missing[0]}.",
            next_step="Fetch the model again.",
        )
