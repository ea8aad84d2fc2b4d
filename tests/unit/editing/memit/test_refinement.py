"""The refinement trains all edited layers together, as a plain loop over whole weights would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import structlog
import torch
from torch import Tensor
from torch.func import functional_call

from kbsync.domain.errors import Stopped
from kbsync.domain.phrasing import FramedPhrasing
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.editing.common.prompts import Prompt, locate, tokenise
from kbsync.editing.memit.distributions import Expected, expected, target_nll
from kbsync.editing.memit.kept_passes import KIND
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.refinement import BETAS, EPSILON, REFINEMENT, Refinement, whitened
from kbsync.editing.memit.served_views import Factors
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import frozen
from kbsync.model.rounding import in_place, rounded_weights
from kbsync.ports import UNWATCHED, Progress, Work
from tests.support.editing_world import delta_of
from tests.support.families import (
    IN_MANY_PHRASINGS,
    D,
    M,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    same_weights,
    texts,
    tokenizer,
    weights,
)


def factors(seed: int, rank: int = 3) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(D, rank, generator=draw), 0.1 * torch.randn(rank, M, generator=draw)


def covariance(seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    keys = torch.randn(M, 4 * M, generator=draw, dtype=torch.float64)
    return keys @ keys.T / keys.shape[1]


def test_whitened_factors_have_the_same_product() -> None:
    left, right = factors(0)
    made = whitened(left, right, covariance(1), 0)
    torch.testing.assert_close(made.left @ made.right, left @ right)
    gram = made.right.double() @ covariance(1) @ made.right.double().T
    torch.testing.assert_close(gram, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_bound_of_the_rank_keeps_what_disturbs_text_most() -> None:
    left, right = factors(0, rank=6)
    C = covariance(1)
    whole = left.double() @ right.double()

    def disturbance(change: Tensor) -> float:
        return float((change @ C @ change.T).trace())

    for rank in (1, 3, 5):
        made = whitened(left, right, C, rank)
        assert made.left.shape == (D, rank) and made.right.shape == (rank, M)
        rest = whole - made.left.double() @ made.right.double()
        root = torch.linalg.cholesky(C)
        best = torch.linalg.svdvals(whole @ root)[rank:].pow(2).sum()
        assert disturbance(rest) == pytest.approx(float(best), rel=1e-4), "Eckart and Young"


def rows() -> tuple[list[Prompt], list[Prompt], list[Prompt]]:
    """Prompts to answer, preserved ones and ordinary text."""
    prompts = [p for r in IN_MANY_PHRASINGS for p in tokenise(tokenizer(), r, (), phrasings=True).prompts]
    preserved = [Prompt((*tokenizer()(text)["input_ids"], 7, 9), 1, 4) for text in ("Oslo is a", "Rome has the")]
    ordinary = [Prompt(tuple(tokenizer()(text)["input_ids"][:20]), 0, 1) for text in texts(3)]
    return prompts, preserved, ordinary


def given(decoder: Decoder) -> tuple[list[Prompt], list[Expected], list[Expected]]:
    """The same, with what the model says at preserved prompts and on the text."""
    prompts, preserved, ordinary = rows()
    return prompts, expected(decoder, preserved), expected(decoder, ordinary)


def plain(model: Any, delta: FactorDelta, C: dict[int, Tensor], r: Recipe, order: list[int]) -> dict[str, Tensor]:
    """One epoch in one batch: autograd through the whole model, Δ as a whole matrix, Adam as it is written."""
    prompts, preserved, ordinary = rows()
    names = {layer: f"model.layers.{layer}.mlp.down_proj.weight" for layer in r.layers}
    made: dict[str, Factors] = {names[n]: whitened(*delta.factors[names[n]], C[n], r.rank) for n in r.layers}
    lefts = {name: f.left.double().requires_grad_() for name, f in made.items()}
    rates = {name: r.refine_rate * float(left.detach().pow(2).mean().sqrt()) for name, left in lefts.items()}
    base = dict(model.named_parameters())

    def logprobs(ids: tuple[int, ...], *, edited: bool) -> Tensor:
        changed = {n: base[n] + lefts[n] @ made[n].right.double() for n in lefts} if edited else {}
        out = functional_call(model, changed, kwargs={"input_ids": torch.tensor([ids]), "use_cache": False})
        return torch.as_tensor(out.logits[0]).log_softmax(-1)

    def kl(texts_: list[Prompt]) -> Tensor:
        costs = []
        for p in texts_:
            with torch.no_grad():
                before = logprobs(p.ids, edited=False)[p.target - 1 : -1]
            now = logprobs(p.ids, edited=True)[p.target - 1 : -1]
            top = before.topk(64, dim=-1)
            kept, others = top.values.exp(), (1 - top.values.exp().sum(-1)).clamp(min=1e-6)
            here = now.gather(1, top.indices)
            here_others = (1 - here.exp().sum(-1)).clamp(min=1e-6)
            costs.append((kept * (top.values - here)).sum(-1) + others * (others / here_others).log())
        return torch.cat(costs).mean()

    nll = []
    for n in order:
        p = prompts[n]
        now = logprobs(p.ids, edited=True)
        nll.append(-torch.stack([now[i - 1, p.ids[i]] for i in range(p.target, len(p.ids))]).mean())
    loss = torch.stack(nll).mean() + r.refine_preserved * kl(preserved) + r.refine_text * kl(ordinary)
    gradients = torch.autograd.grad(loss, list(lefts.values()))
    for (name, left), gradient in zip(lefts.items(), gradients, strict=True):
        mean, square = (1 - BETAS[0]) * gradient, (1 - BETAS[1]) * gradient**2
        step = (mean / (1 - BETAS[0])) / ((square / (1 - BETAS[1])).sqrt() + EPSILON)
        lefts[name] = (left - rates[name] * step).detach()
    return {name: lefts[name] @ made[name].right.double() for name in lefts}


def test_a_step_is_that_of_the_plain_loop() -> None:
    model = random_model("llama", torch.float64)
    r = recipe(refine_epochs=1, refine_batch=100, refine_threshold=0.0, refine_rate=0.1, rank=2)
    decoder, C = discover(model), {1: covariance(1), 2: covariance(2)}
    layers = decoder.edited_layers(r.layers)
    delta = FactorDelta({layer.down.name: factors(n) for n, layer in enumerate(layers)})
    before = weights(model)
    with frozen(model):
        refined = Refinement(decoder, layers, C, r, UNWATCHED).run(delta, *given(decoder))
    assert same_weights(model, before)
    wanted = plain(model, delta, C, r, list(range(len(rows()[0]))))
    for name, change in wanted.items():
        left, right = refined.factors[name]
        start = delta.factors[name][0].double() @ delta.factors[name][1].double()
        moved = left.double() @ right.double()
        assert (moved - change).norm() < 1e-3 * (change - start).norm()


@pytest.mark.parametrize(("share", "looked_at"), [(1.0, (8, 2)), (0.5, (4, 1)), (0.01, (1, 1)), (2.0, (10, 3))])
def test_a_step_looks_at_so_many_preserved_prompts_for_each_written_one(
    monkeypatch: pytest.MonkeyPatch, share: float, looked_at: tuple[int, int]
) -> None:
    steps: list[tuple[int, int]] = []
    real = Refinement._gradients

    def seen(self: Refinement, changed: Any, batch: Any, preserved: Any, ordinary: Any) -> Any:
        steps.append((len(preserved), len(ordinary)))
        return real(self, changed, batch, preserved, ordinary)

    monkeypatch.setattr(Refinement, "_gradients", seen)
    model = random_model("llama")
    prompts, preserved, ordinary = given(decoder := discover(model))
    r = recipe(refine_epochs=1, refine_batch=8, refine_threshold=0.0, refine_held=share)
    layers = decoder.edited_layers(r.layers)
    delta = FactorDelta({layer.down.name: factors(n) for n, layer in enumerate(layers)})
    with frozen(model):
        Refinement(decoder, layers, {1: covariance(1), 2: covariance(2)}, r, UNWATCHED).run(
            delta, prompts, preserved * 5, ordinary
        )
    assert steps and set(steps) == {looked_at}, "there are ten preserved prompts and three texts"


def test_prompts_that_are_answered_leave_the_change_as_it_is() -> None:
    model, r = random_model("llama"), recipe(refine_epochs=5, refine_threshold=1e9)
    decoder = discover(model)
    layers = decoder.edited_layers(r.layers)
    delta = FactorDelta({layer.down.name: factors(n) for n, layer in enumerate(layers)})
    with frozen(model), structlog.testing.capture_logs() as lines:
        refined = Refinement(decoder, layers, {1: covariance(1), 2: covariance(2)}, r, UNWATCHED).run(
            delta, *given(decoder)
        )
    prompts = len(given(decoder)[0])
    assert [(line["number"], line["unanswered"], line["of"]) for line in lines] == [
        (number, 0, prompts) for number in range(1, 6)
    ]
    for name, (left, right) in refined.factors.items():
        torch.testing.assert_close(left @ right, delta.factors[name][0] @ delta.factors[name][1])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_an_edit_is_refined_the_same_way_twice_and_comes_nearer_to_its_targets(family: str) -> None:
    model = random_model(family)
    plain_recipe = recipe(contexts=(), context_count=0, phrasings="all", covariance_weight=1.0)
    r = recipe(
        contexts=(),
        context_count=0,
        phrasings="all",
        covariance_weight=1.0,
        refine_epochs=4,
        refine_rate=0.3,
        refine_preserved=0.0,
        refine_text=0.0,
        refine_batch=4,
    )
    before = weights(model)
    prompts = rows()[0]

    def editor() -> MemitEditor:
        return MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())

    def edit(one: Recipe, made: MemitEditor | None = None) -> Any:
        return (made or editor()).edit(IN_MANY_PHRASINGS, one, Silent())

    def cost(made: Any) -> float:
        with torch.no_grad(), applied(model, delta_of(made)):
            logs = [model(torch.tensor([p.ids])).logits[0].log_softmax(-1) for p in prompts]
        per = [
            -sum(x[i - 1, p.ids[i]] for i in range(p.target, len(p.ids))) for x, p in zip(logs, prompts, strict=True)
        ]
        return float(sum(per))

    used = editor()
    unrefined, _ = edit(plain_recipe, used), edit(r, used)
    one, two = edit(r), edit(r, used)
    assert same_weights(model, before)
    assert all(
        torch.equal(a, b)
        for n in delta_of(one).parameters
        for a, b in zip(delta_of(one).factors[n], delta_of(two).factors[n], strict=True)
    )
    assert cost(one) < cost(unrefined)


@pytest.mark.slow
def test_a_change_is_refined_for_the_form_in_which_it_is_served() -> None:
    """On a rounded base the facts cost less after a refinement that practised there."""
    model = random_model("llama")
    decoder = discover(model)
    layers, prompts = decoder.edited_layers((1, 2)), rows()[0][:3]
    delta = FactorDelta({layer.down.name: factors(n, rank=8) for n, layer in enumerate(layers)})
    before = weights(model)

    def refined(forms: tuple[str, ...]) -> FactorDelta:
        r = recipe(refine_epochs=12, refine_rate=0.2, refine_batch=4, refine_threshold=0.1, refine_as=forms)
        with frozen(model):
            made = Refinement(decoder, layers, {1: covariance(1), 2: covariance(2)}, r, UNWATCHED)
            return made.run(delta, prompts, [], [])

    def cost(made: FactorDelta, kind: str) -> float:
        with torch.no_grad(), in_place(model, rounded_weights(model, kind) if kind else {}), applied(model, made):
            return float(target_nll(decoder, prompts).mean.sum())

    plainly, pressed = refined(()), refined(("q4_0+lora",))
    assert cost(pressed, "q4_0") < 0.85 * cost(plainly, "q4_0")
    assert same_weights(model, before)


def practising(*, reverse: bool = False) -> list[Rewrite]:
    """The rewrites, each practised in one further frame."""
    rewrites = [
        replace(r, practised=(FramedPhrasing("Q: Where is {}?\nA:", "\n"), FramedPhrasing("no place", ".")))
        for r in IN_MANY_PHRASINGS
    ]
    return rewrites[::-1] if reverse else rewrites


@pytest.mark.slow
def test_what_is_practised_is_learned_beside_what_is_written_and_order_does_not_matter() -> None:
    model = random_model("llama")
    guards = [Preserved("{} is a", "Oslo", practised=("- {} is a", "no place"))]
    r = recipe(
        contexts=(),
        context_count=0,
        phrasings="all",
        refine_epochs=12,
        refine_rate=0.3,
        refine_batch=4,
        refine_preserved=1.0,
        refine_frames=True,
    )
    prompts = [locate(tokenizer(), "Q: Where is {}?\nA:", one.subject, one.target, "\n") for one in IN_MANY_PHRASINGS]

    def edit(rewrites: list[Rewrite]) -> Any:
        editor = MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())
        return delta_of(editor.edit(rewrites, r, Silent(), guards=guards))

    def cost(delta: FactorDelta) -> float:
        with applied(model, delta), torch.no_grad():
            return float(target_nll(discover(model), prompts).mean.mean())

    one, two, unpractised = edit(practising()), edit(practising(reverse=True)), edit(list(IN_MANY_PHRASINGS))
    assert all(torch.equal(a, b) for n in one.parameters for a, b in zip(one.factors[n], two.factors[n], strict=True))
    assert cost(one) < cost(unpractised) - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_refinement_that_was_stopped_goes_on_after_its_last_pass_and_ends_the_same(stop_at: int) -> None:
    model = random_model("llama")
    r = recipe(
        contexts=(),
        context_count=0,
        phrasings="all",
        refine_epochs=4,
        refine_rate=0.3,
        refine_batch=4,
        refine_preserved=1.0,
        refine_frames=True,
    )

    def edit(artifacts: MemoryArtifacts, work: Work) -> FactorDelta:
        return delta_of(MemitEditor(model, tokenizer(), "base", artifacts, texts()).edit(practising(), r, work))

    whole, artifacts, passes = edit(MemoryArtifacts(), Silent()), MemoryArtifacts(), _Passes(stop_at)
    with pytest.raises(Stopped):
        edit(artifacts, Work(passes, [passes.check]))
    again = _Passes()
    resumed = edit(artifacts, Work(again, [again.check]))
    assert again.begun == stop_at, "the passes that were finished are not run again"
    assert all(
        torch.equal(a, b) for n in whole.parameters for a, b in zip(whole.factors[n], resumed.factors[n], strict=True)
    )
    assert artifacts.kinds(KIND) == [], "nothing is kept after the end"


class _Passes(Progress):
    """Counts the passes of a refinement, and asks to stop in the one after ``stop_at`` of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self._stop_at, self._step = stop_at, ""
        self.begun, self.done = 0, 0

    def start(self, step: str, total: int | None) -> None:
        self._step = step

    def advance(self, count: int = 1) -> None:
        if self._step == REFINEMENT:
            self.begun, self.done = (count if self.done == 0 else self.begun), self.done + count

    def finish(self, note: str = "") -> None:
        self._step = ""

    def abandon(self) -> None: ...

    def check(self) -> None:
        if self._step == REFINEMENT and self.done == self._stop_at:
            raise Stopped("A stop was asked for.")
