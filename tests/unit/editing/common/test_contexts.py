"""Contexts are the recipe's own, or sampled once and kept."""

from __future__ import annotations

from typing import Any

import pytest

from kbsync.domain.errors import EditError
from kbsync.editing.common.contexts import OPENINGS, contexts
from kbsync.model.decoder import discover
from tests.support.families import MemoryArtifacts, random_model, recipe, tokenizer

SAMPLED: dict[str, Any] = {"contexts": (), "context_count": 3, "context_tokens": 4}


def made(artifacts: MemoryArtifacts, base: str = "base", **changes: Any) -> tuple[str, ...]:
    return contexts(discover(random_model("llama")), tokenizer(), recipe(**SAMPLED | changes), base, artifacts)


def test_sampled_contexts_begin_as_published_and_have_one_place_for_the_prompt() -> None:
    sampled = made(MemoryArtifacts())
    assert len(sampled) == 3 and made(MemoryArtifacts()) == sampled
    assert all(c.count("{}") == 1 and c.endswith(". {}") for c in sampled)
    assert [c.startswith(opening) for c, opening in zip(sampled, OPENINGS, strict=False)] == [True] * 3


@pytest.mark.slow
def test_they_are_kept_by_all_that_they_depend_on() -> None:
    artifacts = MemoryArtifacts()
    sampled = made(artifacts)
    ((place, blob),) = artifacts.contents.items()
    artifacts.exchange(place, b'["kept. {}"]')
    assert made(artifacts) == ("kept. {}",) and blob != b""
    for changes in ({"seed": 1}, {"context_count": 2}, {"context_tokens": 5}, {"base": "other"}):
        assert made(artifacts, **changes) != ("kept. {}",)
    assert made(artifacts, steps=99) == ("kept. {}",) != sampled


def test_given_contexts_are_taken_as_they_are() -> None:
    artifacts = MemoryArtifacts()
    assert made(artifacts, contexts=("Now {}", "{} again")) == ("Now {}", "{} again")
    assert not artifacts.contents and made(artifacts, context_count=0) == ()


@pytest.mark.parametrize("context", ["no place", "{} and {}"])
def test_given_contexts_must_have_one_place_for_the_prompt(context: str) -> None:
    with pytest.raises(EditError, match="one place"):
        made(MemoryArtifacts(), contexts=("Now {}", context))
