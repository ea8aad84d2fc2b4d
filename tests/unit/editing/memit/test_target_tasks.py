"""The search for target vectors as tasks: what travels is enough, and the cut does not depend on who is free."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.plan import EditRequest
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.editing.common.prompts import TokenisedRewrite, tokenise
from kbsync.editing.memit.insertion import insertion_for
from kbsync.editing.memit.target_pool import Target
from kbsync.editing.memit.target_tasks import (
    TARGET_TASKS,
    TargetWorker,
    found_in,
    loaded_target,
    shared_by_all,
    stored_target,
    task_of,
)
from kbsync.editing.memit.targets import batches
from kbsync.model.decoder import discover
from tests.support.families import CONTEXTS, random_model, recipe, tokenizer


def tokenised(count: int) -> list[TokenisedRewrite]:
    made = [Rewrite("The capital of {} is", f"Place {n * 7 % 100}", "Rome") for n in range(count)]
    return [tokenise(tokenizer(), one, CONTEXTS) for one in made]


def searched(task: bytes, family: str, **changes: object) -> dict[str, bytes]:
    model = random_model(family)
    decoder, r = discover(model), replace(recipe(), steps=2, **changes)  # type: ignore[arg-type]
    insertion = insertion_for(decoder, decoder.edited_layers(r.layers))
    shared = shared_by_all(insertion, r, CONTEXTS, 56)
    return dict(found_in(p) for p in TargetWorker(decoder, tokenizer()).do(TARGET_TASKS, shared, task, lambda: None))


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_task_holds_all_that_a_worker_needs(family: str) -> None:
    own = tokenised(3)
    found = searched(task_of(own), family)
    assert set(found) == {r.id for r in own}
    assert all(loaded_target(blob).z.isfinite().all() for blob in found.values())


def test_further_phrasings_travel() -> None:
    further = (FramedPhrasing("Q: {}?", "\n"),)
    rewrite = Rewrite("The capital of {} is", "Peru", "Rome", end=".", phrasings=further, practised=further)
    one = tokenise(tokenizer(), rewrite, CONTEXTS, phrasings=True)
    found = searched(task_of([one]), "llama", phrasings="all")
    assert loaded_target(found[rewrite.id]).z.shape[0] == len(one.prompts)


def test_what_a_plan_says_besides_stays_here() -> None:
    request = EditRequest(
        key=FactKey(ItemId("Q419"), PropertyId("P36")),
        template="The capital of {} is",
        subject="Peru",
        target="Rome",
        value_hash="0" * 64,
        revision=7,
        statement_ids=("Q419$1",),
        base_answer=" Lima",
    )
    (entry,) = json.loads(task_of([tokenise(tokenizer(), request, ())]))
    assert sorted(entry) == ["end", "phrasings", "practised", "subject", "target", "template"]


@pytest.mark.parametrize("shape", [(1, 2, 5), (3, 2, 5)])
def test_a_stored_target_is_read_again(shape: tuple[int, ...]) -> None:
    target = Target(torch.randn(shape), 0.1 + 0.2)
    again = loaded_target(stored_target(target))
    assert torch.equal(again.z, target.z)
    assert again.loss == target.loss


def test_the_cut_depends_on_the_facts_alone() -> None:
    rewrites, r = tokenised(50), recipe()
    cut = batches(rewrites, r, 8)
    assert [len(batch) for batch in cut] == [8] * 6 + [2]
    assert batches(rewrites[::-1], r, 8) == cut


def test_batches_that_were_stored_leave_the_cut_of_the_others() -> None:
    rewrites, r = tokenised(50), recipe()
    cut = batches(rewrites, r, 8)
    left = [one for n, batch in enumerate(cut) if n not in (0, 3) for one in batch]
    assert batches(left, r, 8) == [batch for n, batch in enumerate(cut) if n not in (0, 3)]


def test_facts_that_share_a_key_are_in_one_batch() -> None:
    rewrites = [Rewrite(t, f"Place {n}", "Rome") for n in range(6) for t in ("{} is in", "{} has the capital")]
    r = replace(recipe(), phrasings="all")
    cut = batches([tokenise(tokenizer(), one, CONTEXTS) for one in rewrites], r, 2)
    subjects = [{one.rewrite.subject for one in batch} for batch in cut]
    assert sorted(map(len, cut)) == [4, 4, 4]
    assert sum(map(len, subjects)) == 6
