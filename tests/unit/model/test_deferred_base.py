"""A base that is known before it is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.deferred_base import DeferredBase
from kbsync.model.load import LoadedModel
from tests.support.families import random_model, tokenizer


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return LoadedModel(
        model=random_model("llama"), tokenizer=tokenizer(), fingerprint="base", reference="x", directory=Path()
    )


def test_it_is_loaded_when_it_is_first_asked_and_once(loaded: LoadedModel) -> None:
    loads = []
    base = DeferredBase("base", lambda: loads.append(1) or loaded)  # type: ignore[func-returns-value]
    assert (base.fingerprint, loads) == ("base", [])
    answers = base.language_model().complete(["The capital of France is"], max_new_tokens=2)
    assert base.language_model().complete(["The capital of France is"], max_new_tokens=2) == answers
    assert len(loads) == 1
    assert base.language_model().fingerprint == "base"


def test_a_model_whose_files_changed_meanwhile_is_refused(loaded: LoadedModel) -> None:
    base = DeferredBase("base", lambda: replace(loaded, fingerprint="another"))
    with pytest.raises(ModelError, match="files changed"):
        base.language_model()


def test_a_model_that_can_not_be_loaded_is_said_when_it_is_needed() -> None:
    def load() -> LoadedModel:
        raise ModelError("There is no such model.")

    base = DeferredBase("base", load)
    with pytest.raises(ModelError, match="no such model"):
        base.language_model()
