"""The fast, batched code gives what the paper's equations give."""

from dataclasses import replace

import pytest
import torch

from kbsync.domain.recipe import ALGORITHMS
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.editors import EDITORS
from kbsync.editing.memit.insertion import StreamInsertion
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.targets import search
from kbsync.model.decoder import discover
from kbsync.model.hooks import frozen
from tests.support.families import FAMILIES, REWRITES, MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer
from tests.support.paper import Paper

DTYPE = torch.float64
PLAIN = tuple(f for f in FAMILIES if f not in ("gemma2", "gemma3", "olmo2"))


def world(family: str, **changes: object):
    model = random_model(family, DTYPE)
    r = recipe(dtype="float64", **changes)
    layers = discover(model).edited_layers(r.layers)
    paper = Paper(model, [(layer.module, layer.down.module) for layer in layers], r)
    return model, r, paper, [tokenise(tokenizer(), q, r.contexts) for q in REWRITES]


def searched(model, r, tasks):
    decoder = discover(model)
    with frozen(model):
        place = StreamInsertion(decoder, decoder.edited_layers(r.layers))
        head = VocabularyHead(decoder)
        return {t.id: target.z[0] for t, target in search(tasks, r, place, head)}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"relative_step": False, "learning_rate": 0.5},
        {"clamp": 0.1, "steps": 6},
        {"optimiser": "steepest", "clamp": 0.3},
    ],
    ids=["relative", "absolute", "clamped", "steepest"],
)
def test_target_vectors_are_the_papers(family, changes):
    assert all(distances(family, **changes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "loss", "token"), [("llama", 6.2, None), ("gpt2", 6.6, None), ("gemma2", 6.1, None), ("llama", 6.5, 6.0)]
)
def test_searches_that_end_early_are_the_papers(family, loss, token):
    search = {"learning_rate": 0.5, "steps": 12}
    ended = distances(family, loss_threshold=loss, token_threshold=token, **search)
    assert ended != distances(family, loss_threshold=0.0, **search)


@pytest.mark.parametrize(("window", "windows"), [(1, 100), (2, 100), (2, 1), (1, 2)])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_fact_finds_the_same_whatever_is_searched_beside_it(family, window, windows, monkeypatch):
    """Facts that wait until others have ended, and pools that overlap."""
    model, r, _, tasks = world(family, loss_threshold=6.4, steps=12, learning_rate=0.5)
    assert len({t.suffix_length for t in tasks}) > 1
    together = searched(model, r, tasks)
    monkeypatch.setattr("kbsync.editing.memit.targets.WINDOW", window)
    monkeypatch.setattr("kbsync.editing.memit.targets.POOL_WINDOWS", windows)
    torch.testing.assert_close(searched(model, r, tasks), together, rtol=0, atol=1e-9)


def distances(family: str, **changes: object) -> list[float]:
    """‖δ‖ of each fact, which is compared with the paper's."""
    model, r, paper, tasks = world(family, **changes)
    got, found = searched(model, r, tasks), []
    for t in tasks:
        wanted = paper.target(t)
        moved = float((wanted - paper.seen(paper.layers[-1][0], t.bare.ids, t.bare.lookup)).norm())
        torch.testing.assert_close(got[t.id], wanted, rtol=0, atol=1e-5 * (moved or 1.0))
        found.append(moved)
    return found


def test_a_costly_token_keeps_the_search_going():
    model, r, _, tasks = world("llama", loss_threshold=6.5, steps=12)
    mean, every = (searched(model, replace(r, token_threshold=most), tasks) for most in (None, 6.0))
    assert any(not torch.equal(mean[i], every[i]) for i in mean)
    cheap = searched(model, replace(r, token_threshold=100.0), tasks)
    assert all(torch.equal(mean[i], cheap[i]) for i in mean)


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_are_the_papers(family):
    model, r, paper, tasks = world(family)
    decoder = discover(model)
    forward = LayerwiseForward(decoder, decoder.edited_layers(r.layers), [t.prompts for t in tasks])
    for _, down in paper.layers:
        keys, outputs = forward.inspect()
        wanted = torch.stack([paper.key(down, t) for t in tasks])
        torch.testing.assert_close(keys, wanted, rtol=1e-5, atol=1e-6)
        produced = torch.stack([paper.seen(down, t.bare.ids, t.bare.lookup) for t in tasks])
        torch.testing.assert_close(outputs, produced, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(forward.step(), outputs)


@pytest.mark.parametrize("family", PLAIN)
def test_changes_of_weights_are_the_papers(family):
    model, r, paper, tasks = world(family)
    artifacts = MemoryArtifacts()
    made = MemitEditor(model, tokenizer(), "base", artifacts, texts()).edit(REWRITES, r, Silent())
    moments = covariances(discover(model), tokenizer(), texts(), r, "base", artifacts, Silent()).matrices
    goals = searched(model, r, tasks)
    wanted = paper.spread(tasks, [goals[t.id] for t in tasks], [moments[i] for i in r.layers])
    for name, change in zip(made.delta.parameters, wanted, strict=True):
        left, right = made.delta.factors[name]
        difference = (left.double() @ right.double() - change).norm()
        assert difference <= 1e-5 * change.norm(), float(difference / change.norm())


def changes(made) -> list[torch.Tensor]:
    return [left.double() @ right.double() for left, right in (made.delta.factors[n] for n in made.delta.parameters)]


def assert_papers(got, wanted, tolerance=1e-5):
    assert len(got) == len(wanted)
    for ours, change in zip(got, wanted, strict=True):
        assert change.norm() > 0
        assert (ours - change).norm() <= tolerance * change.norm(), float((ours - change).norm() / change.norm())


def edited(family: str, algorithm: str, **options: object):
    """The shipped code's edit, and the paper with its facts in the shipped order and its covariances."""
    model, r, paper, tasks = world(family, algorithm=algorithm, **options)
    artifacts = MemoryArtifacts()
    made = EDITORS[algorithm](model, tokenizer(), "base", artifacts, texts()).edit(REWRITES, r, Silent())
    moments = covariances(discover(model), tokenizer(), texts(), r, "base", artifacts, Silent()).matrices
    tasks.sort(key=lambda t: t.id)
    return made, paper, tasks, [moments[i] for i in r.layers]


def test_every_algorithm_that_a_recipe_may_name_has_its_editor():
    assert tuple(EDITORS) == ALGORITHMS


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("size", [1, 2])
def test_steps_in_sequence_are_the_papers(family, size):
    made, paper, tasks, moments = edited(family, "memit-sequential", batch=size)
    assert_papers(
        changes(made),
        paper.sequence([tasks[:size], tasks[size : 2 * size], tasks[2 * size :]][: -(-3 // size)], moments),
    )


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_changes_in_the_null_space_are_the_papers(family):
    made, paper, tasks, moments = edited(family, "alphaedit", batch=2, null_space_share=0.05)
    assert_papers(changes(made), paper.alpha([tasks[:2], tasks[2:]], moments, 0.05))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gpt-neox"])
def test_rank_one_changes_are_the_papers(family):
    made, paper, tasks, (moment,) = edited(family, "rome", layers=(1,))
    assert_papers(changes(made), [paper.rome(tasks, moment)])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "options",
    [
        {"clamp": 9.0, "weight_decay": 0.0},
        {"clamp": 0.03, "weight_decay": 0.01},
        {"relative_step": False, "learning_rate": 1e-3, "clamp": 2e-3, "weight_decay": 0.0},
        {"loss_threshold": 4.0, "steps": 30, "weight_decay": 0.0},
    ],
    ids=["free", "bounded", "absolute", "converging"],
)
def test_fine_tuned_changes_are_the_papers(family, options):
    made, paper, tasks, _ = edited(family, "finetune", batch=2, **{"learning_rate": 0.02} | options)
    assert_papers(changes(made), paper.finetune(tasks))


def test_losses_in_blocks_are_those_of_autograd(monkeypatch):
    """Blocks that hold target positions only, both kinds, and kl only."""
    decoder = discover(random_model("gemma2", DTYPE))  # its logits have a soft cap
    vocabulary, d = decoder.head_weight.shape
    monkeypatch.setattr("kbsync.editing.common.vocabulary_head.BUFFER_BYTES", 3 * 8 * vocabulary)
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(11, d, dtype=DTYPE, generator=draw, requires_grad=True)
    tokens, weights = torch.arange(7) % vocabulary, torch.linspace(0.1, 1.0, 7, dtype=DTYPE)
    before = torch.randn(4, vocabulary, dtype=DTYPE, generator=draw).log_softmax(-1)
    losses, kl, gradient = VocabularyHead(decoder).nll_and_kl(states.detach(), tokens, weights, list(before), 0.5)
    logs = decoder.logits(states).log_softmax(-1)
    nll, kl = -logs[:7].gather(1, tokens[:, None])[:, 0], 0.5 * (logs[7:].exp() * (logs[7:] - before)).sum(-1)
    ((nll * weights).sum() + kl.sum()).backward()
    torch.testing.assert_close((losses, kl, gradient), (nll.detach(), kl.detach(), states.grad))
    torch.testing.assert_close(
        VocabularyHead(decoder).nll(states.detach()[:7], tokens, weights), (losses, gradient[:7])
    )
