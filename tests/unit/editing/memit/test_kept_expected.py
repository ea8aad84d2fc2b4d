"""What the base says where it must be left as it is: found once for a base, and read back bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from kbsync.domain.errors import Stopped
from kbsync.domain.rewrite import Preserved
from kbsync.editing.common.prompts import Prompt, locate
from kbsync.editing.editor import EditJob
from kbsync.editing.memit import refinement_texts
from kbsync.editing.memit.distributions import Expected, expected
from kbsync.editing.memit.kept_expected import KIND, KeptExpected
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.refinement_texts import PRESERVED_ANSWERS, left_as_it_is
from kbsync.model.decoder import discover
from tests.support.editing_world import delta_of
from tests.support.families import (
    IN_MANY_PHRASINGS,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    texts,
    tokenizer,
)


def found(dtype: torch.dtype = torch.float32) -> list[Expected]:
    rows = [Prompt((5, 6, 7, 8), 1, 2), Prompt((9, 10, 11), 0, 2)]
    return expected(discover(random_model("llama", dtype)), rows)


def same(one: Sequence[Expected], other: Sequence[Expected]) -> bool:
    return all(
        a.prompt == b.prompt and torch.equal(a.logprobs, b.logprobs) and torch.equal(a.tokens, b.tokens)
        for a, b in zip(one, other, strict=True)
    )


class Maker:
    def __init__(self, rows: list[Expected]) -> None:
        self.rows, self.calls = rows, 0

    def __call__(self) -> list[Expected]:
        self.calls += 1
        return self.rows


def kept(artifacts: MemoryArtifacts, base: str = "base", dtype: str = "float32") -> KeptExpected:
    return KeptExpected(artifacts, base, dtype, torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_was_kept_is_read_back_bit_for_bit(dtype: torch.dtype) -> None:
    artifacts, make = MemoryArtifacts(), Maker(found(dtype))
    first, second = (kept(artifacts).of(["prompts", 1], make) for _ in range(2))
    assert make.calls == 1 and len(artifacts.blobs) == 1
    assert same(first, second) and same(second, make.rows)
    assert [row.logprobs.dtype for row in second] == [row.logprobs.dtype for row in make.rows]


def test_another_base_dtype_or_text_has_its_own() -> None:
    artifacts, make = MemoryArtifacts(), Maker(found())
    for one, inputs in (
        (kept(artifacts), [1]),
        (kept(artifacts), [2]),
        (kept(artifacts, base="other"), [1]),
        (kept(artifacts, dtype="bfloat16"), [1]),
    ):
        one.of(inputs, make)
    assert make.calls == 4


@pytest.mark.parametrize("blob", [b"", b"no tensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_cannot_be_read_is_made_again(blob: bytes) -> None:
    artifacts, make = MemoryArtifacts(), Maker(found())
    kept(artifacts).of([1], make)
    ((kind, key),) = artifacts.blobs
    artifacts.drop(kind, key)
    artifacts.put(kind, key, blob)
    assert kind == KIND and same(kept(artifacts).of([1], make), make.rows)
    assert make.calls == 2


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("lengths", lambda t: t[:-1]),
        ("lengths", lambda t: t + 1),
        ("lengths", lambda t: t.float()),
        ("lookups", lambda t: t[:-1]),
        ("looked_at", lambda t: t.flip(0) + 1),
        ("looked_at", lambda t: t * 0),
        ("logprobs", lambda t: t[:, :-1]),
        ("tokens", lambda t: t[:-1]),
        ("tokens", lambda t: t.flatten()),
        ("ids", lambda t: t[None]),
    ],
)
def test_tensors_that_do_not_fit_each_other_are_made_again(name: str, damaged: Any) -> None:
    artifacts, make = MemoryArtifacts(), Maker(found())
    kept(artifacts).of([1], make)
    ((kind, key),) = artifacts.blobs
    tensors = load(artifacts.get(kind, key) or b"")
    artifacts.drop(kind, key)
    artifacts.put(kind, key, save(tensors | {name: damaged(tensors[name]).contiguous()}))
    assert same(kept(artifacts).of([1], make), make.rows)
    assert make.calls == 2


def test_nothing_is_not_kept() -> None:
    artifacts = MemoryArtifacts()
    assert kept(artifacts).of([1], Maker([])) == [] and not artifacts.blobs


def test_the_base_s_answers_are_kept_before_their_distributions() -> None:
    artifacts, made = MemoryArtifacts(), [[row.prompt for row in found()]]
    first = kept(artifacts).answered([1], made.pop)
    assert first == kept(artifacts).answered([1], made.pop) == [row.prompt for row in found()]
    with pytest.raises(IndexError):
        kept(artifacts).answered([2], made.pop)
    with pytest.raises(IndexError):
        kept(artifacts, base="other").answered([1], made.pop)


def test_an_edit_that_is_stopped_after_the_answers_does_not_ask_for_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, artifacts = discover(random_model("llama")), MemoryArtifacts()
    asked = [[locate(tokenizer(), "{} is a", name, None) for name in ("Oslo", "Rome")]]

    def job(work: Silent) -> EditJob:
        return EditJob(
            rewrites=(),
            preserved=(),
            contexts=(),
            layers=(),
            recipe=recipe(),
            base="base",
            artifacts=artifacts,
            work=work,
            tokenizer=tokenizer(),
        )

    def stopped(*_: Any) -> list[Expected]:
        raise Stopped("between the answers and their distributions")

    monkeypatch.setattr(refinement_texts, "expected", stopped)
    first = Silent()
    with pytest.raises(Stopped):
        left_as_it_is(decoder, job(first), asked, texts(20))
    monkeypatch.undo()
    again, fresh = Silent(), Silent()
    rows, _ = left_as_it_is(decoder, job(again), asked, texts(20))
    assert PRESERVED_ANSWERS in first.stages and PRESERVED_ANSWERS not in again.stages
    artifacts = MemoryArtifacts()
    assert same(rows, left_as_it_is(decoder, job(fresh), asked, texts(20))[0]) and PRESERVED_ANSWERS in fresh.stages


@pytest.mark.slow
def test_a_second_edit_asks_the_base_nothing_again_and_makes_the_same_change() -> None:
    """An edit that was killed, the probes of a bisection and the trials of a search for recipes: all have one base."""
    model, artifacts = random_model("llama"), MemoryArtifacts()
    guards = [Preserved("{} is a", name, practised=("- {} is a",)) for name in ("Oslo", "Rome", "Lima")]
    first = recipe(contexts=(), context_count=0, phrasings="all", refine_epochs=1, refine_rate=0.1, refine_batch=4)

    def edit(r: Any, store: MemoryArtifacts) -> tuple[Any, Silent]:
        work = Silent()
        editor = MemitEditor(model, tokenizer(), "base", store, texts())
        return delta_of(editor.edit(IN_MANY_PHRASINGS, r, work, guards=guards)), work

    _, asked = edit(first, artifacts)
    other = replace(first, covariance_weight=2 * first.covariance_weight)
    again, silent = edit(other, artifacts)
    anew, _ = edit(other, MemoryArtifacts())
    assert PRESERVED_ANSWERS in asked.stages and PRESERVED_ANSWERS not in silent.stages
    assert all(
        torch.equal(a, b) for n in anew.parameters for a, b in zip(again.factors[n], anew.factors[n], strict=True)
    )
