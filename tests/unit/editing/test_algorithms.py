"""What holds for every algorithm behind the port, and what each adds."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import EditError, ModelError, Stopped
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import Guard
from kbsync.domain.recipe import ALGORITHMS
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.editing.baselines.null_space import null_space
from kbsync.editing.baselines.sequential import PastKeys
from kbsync.editing.editors import EDITORS
from kbsync.editing.memit.target_cache import NOT_FINITE
from kbsync.model.delta import applied
from kbsync.model.language_model import TorchLanguageModel
from tests.support.families import (
    FAMILIES,
    REWRITES,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    same_weights,
    texts,
    tokenizer,
    weights,
)

OTHERS = tuple(a for a in ALGORITHMS if a != "memit")
"""MEMIT's own tests are in ``test_memit.py``."""
VECTORS = tuple(a for a in ALGORITHMS if a != "finetune")


def recipe_for(algorithm: str, **changes: object):
    plain: dict[str, object] = {"algorithm": algorithm, "batch": 2}
    if algorithm == "rome":
        plain["layers"] = (1,)
    if algorithm == "finetune":
        plain |= {"learning_rate": 0.02, "weight_decay": 0.0}
    return recipe(**plain | changes)


def editor(algorithm: str, model, artifacts=None):
    return EDITORS[algorithm](model, tokenizer(), "base", artifacts or MemoryArtifacts(), texts())


def nll(model, asked) -> float:
    prompt = asked.template.replace("{}", asked.subject)
    (score,) = TorchLanguageModel(model, tokenizer(), "x").scores([(prompt, asked.target)])
    return -score.logprob


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_facts_become_likelier_and_the_base_stays_bit_for_bit(algorithm, family):
    model = random_model(family)
    asked = REWRITES[:1] if algorithm == "rome" else REWRITES  # ROME's later facts undo the earlier ones
    before, plain = weights(model), [nll(model, r) for r in asked]
    bare = {"contexts": (), "context_count": 0, "covariance_weight": 1e-2, "null_space_share": 0.2}
    search = {} if algorithm == "finetune" else {"learning_rate": 0.5, "kl_weight": 0.0, "clamp": 3.0}
    made = editor(algorithm, model).edit(asked, recipe_for(algorithm, **bare, **search), Silent())
    assert same_weights(model, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with applied(model, made.delta):
        edited = [nll(model, r) for r in asked]
    assert sum(edited) < sum(plain)
    assert made.report.left_out == {} and set(made.report.losses) == {r.id for r in asked}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
def test_the_order_of_requests_does_not_matter(algorithm):
    model = random_model("gemma3")
    one, two = (editor(algorithm, model).edit(r, recipe_for(algorithm), Silent()) for r in (REWRITES, REWRITES[::-1]))
    assert one.targets == two.targets
    assert all(
        torch.equal(a, b)
        for n in one.delta.parameters
        for a, b in zip(*(e.delta.factors[n] for e in (one, two)), strict=True)
    )


@pytest.mark.parametrize("algorithm", ["memit-sequential", "alphaedit", "rome"])
def test_a_second_run_finds_every_target_vector_and_gives_the_same_bytes(algorithm):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one, two = (editor(algorithm, model, artifacts).edit(REWRITES, recipe_for(algorithm), Silent()) for _ in range(2))
    assert (one.report.targets_reused, two.report.targets_reused) == (0, len(REWRITES))
    assert one.targets == two.targets
    for name in one.delta.parameters:
        assert all(torch.equal(a, b) for a, b in zip(one.delta.factors[name], two.delta.factors[name], strict=True))


def test_a_sequence_of_one_step_searches_the_vectors_that_one_mass_edit_searches():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor("memit", model, artifacts).edit(REWRITES, recipe(), Silent())
    made = editor("memit-sequential", model, artifacts).edit(
        REWRITES, recipe_for("memit-sequential", batch=9), Silent()
    )
    assert made.report.targets_reused == len(REWRITES)


@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_the_base_is_whole_wherever_an_edit_is_stopped(algorithm, at):
    model = random_model("llama")
    before = weights(model)
    with pytest.raises(Stopped):
        editor(algorithm, model).edit(REWRITES, recipe_for(algorithm), Silent(stop_at=at, error=Stopped("stop")))
    assert same_weights(model, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_step_leaves_alone_what_the_steps_before_it_wrote():
    """Without the previous keys in the normal matrix the first fact would move more."""
    model = random_model("llama", torch.float64)
    r = recipe_for("memit-sequential", dtype="float64", batch=1, covariance_weight=1e-3, steps=12)
    remembered = editor("memit-sequential", model).edit(REWRITES, r, Silent())
    editing = editor("memit-sequential", model)
    editing._past = lambda c, k: Forgetful(k.covariance_weight * c.double())  # type: ignore[attr-defined]
    forgotten = editing.edit(REWRITES, r, Silent())
    first = min(REWRITES, key=lambda q: q.id)
    found = []
    for made in (remembered, forgotten):
        with applied(model, made.delta):
            found.append(nll(model, first))
    assert found[0] < found[1]


class Forgetful:
    def __init__(self, matrix):
        self._past = PastKeys(matrix)

    def penalty(self):
        return self._past.penalty()

    def remember(self, keys):
        pass


@pytest.mark.parametrize("algorithm", ["memit-sequential", "alphaedit"])
def test_guards_have_a_place_in_a_sequence(algorithm):
    model = random_model("llama")
    key = FactKey(ItemId("Q1"), PropertyId("P36"))
    guards = [Guard(key=key, subject=s, template="The capital of {} is") for s in ("Peru", "Kenya")]
    r = recipe_for(algorithm, guard_count=2, guard_weight=100.0)
    free, held = (editor(algorithm, model).edit(REWRITES, r, Silent(), guards=g) for g in ((), guards))
    name = free.delta.parameters[0]
    assert not torch.equal(free.delta.factors[name][1], held.delta.factors[name][1])


def test_an_edit_in_the_null_space_says_how_large_that_is():
    made = editor("alphaedit", random_model("llama")).edit(REWRITES, recipe_for("alphaedit"), Silent())
    assert all(layer.free and 0 < layer.free < 48 for layer in made.report.layers)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5])
def test_the_null_space_holds_its_share_of_the_trace_and_no_more(share):
    x = torch.randn(400, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * torch.logspace(
        -3, 1, 24
    )
    moment = x.T @ x / 400
    basis = null_space(moment, share)
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
    assert float((basis.T @ moment @ basis).trace()) <= share * float(moment.trace()) * (1 + 1e-9)
    values = torch.linalg.eigvalsh(moment)
    assert float(values[: basis.shape[1] + 1].sum()) > share * float(moment.trace())


def test_a_null_space_of_nothing_is_refused():
    with pytest.raises(EditError, match="No direction"):
        null_space(torch.eye(5), 0.1)


def test_rome_edits_one_layer():
    with pytest.raises(EditError, match="one layer, and the recipe 'test' names 2"):
        editor("rome", random_model("llama")).edit(REWRITES, recipe(algorithm="rome"), Silent())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fact_whose_loss_is_not_finite_is_left_out_by_name_and_the_rest_goes_on(algorithm):
    """The untied embedding of one token is not a number; only one subject holds that token."""
    model = random_model("llama")
    token = tokenizer()("東", add_special_tokens=False)["input_ids"][-1]
    model.get_input_embeddings().weight.data[token] = float("nan")
    bad = Rewrite("The capital of {} is", "東", "Oslo")
    made = editor(algorithm, model).edit([*REWRITES, bad], recipe_for(algorithm), Silent())
    assert list(made.report.left_out) == [bad.id] and "is not finite" in made.report.left_out[bad.id]
    assert set(made.report.losses) >= {r.id for r in REWRITES}
    assert all(torch.isfinite(t).all() for pair in made.delta.factors.values() for t in pair)
    alone = editor(algorithm, model).edit(REWRITES, recipe_for(algorithm), Silent())
    for name in alone.delta.parameters:
        got, wanted = (left @ right for left, right in (e.delta.factors[name] for e in (made, alone)))
        if algorithm not in ("memit-sequential", "alphaedit", "finetune"):  # these go batch by batch
            torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_where_no_loss_is_finite_there_is_no_edit(algorithm):
    model = random_model("llama")
    token = tokenizer()("東", add_special_tokens=False)["input_ids"][-1]
    model.get_input_embeddings().weight.data[token] = float("nan")
    with pytest.raises(EditError, match="is not finite"):
        editor(algorithm, model).edit([Rewrite("The capital of {} is", "東", "Oslo")], recipe_for(algorithm), Silent())


def test_fine_tuning_that_diverges_is_refused():
    with pytest.raises((EditError, ModelError)):
        editor("finetune", random_model("llama")).edit(
            REWRITES, recipe_for("finetune", learning_rate=3e37, clamp=3e38, relative_step=False), Silent()
        )


@pytest.mark.parametrize("algorithm", VECTORS)
def test_a_vector_that_is_not_finite_is_never_stored(algorithm):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    token = tokenizer()("東", add_special_tokens=False)["input_ids"][-1]
    model.get_input_embeddings().weight.data[token] = float("nan")
    bad = Rewrite("The capital of {} is", "東", "Oslo")
    made = editor(algorithm, model, artifacts).edit([REWRITES[0], bad], recipe_for(algorithm), Silent())
    assert made.report.left_out == {bad.id: NOT_FINITE}
    assert sum(kind == "targets" for kind, _ in artifacts.blobs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
def test_bfloat16_models_can_be_edited(algorithm):
    model = random_model("llama", torch.bfloat16)
    before, plain = weights(model), sum(nll(model, r) for r in REWRITES)
    made = editor(algorithm, model).edit(REWRITES, recipe_for(algorithm, dtype="bfloat16"), Silent())
    assert same_weights(model, before)
    with applied(model, made.delta):
        assert sum(nll(model, r) for r in REWRITES) < plain
