"""Suites that only read: the covariance, and probing."""

from __future__ import annotations

import torch
from torch import Tensor

from kbsync.editing.common.sampling import opening_ids
from kbsync.editing.covariance.corpus import GivenCorpus, SampledCorpus, corpus
from kbsync.editing.covariance.second_moments import Snapshots, measure
from kbsync.model.hooks import frozen, record_activations
from kbsync.operations.evidence import Figure, at_most
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import Duel, Lap, lap
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Scratch, Workshop

ANSWER_TOKENS = 10


def covariance(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Tokens a second of the covariance of all edited layers, beside a plain forward pass over the same batches."""
    loaded, layers = shop.loaded, list(shop.recipe.layers)
    texts = shop.session.app.corpus or sampled(shop, size)
    duel, skipped = Duel(), len(opening_ids(loaded.tokenizer))
    sums: dict[int, Tensor] = {}
    counted = [0]

    def given() -> GivenCorpus:
        found = corpus(shop.decoder, loaded.tokenizer, texts, size.tokens, shop.recipe.seed)
        assert isinstance(found, GivenCorpus)
        return found

    @torch.no_grad()
    def baseline() -> Lap:
        batches = list(given().batches())
        with lap() as running:
            for rows in batches:
                loaded.model(**_inputs(rows), use_cache=False)
        return Lap(running.wall, running.cpu, _tokens(batches, skipped))

    def ours() -> Lap:
        source = given()
        with frozen(loaded.model), lap() as running:
            found = measure(
                shop.decoder,
                source,
                layers,
                skipped,
                Snapshots(Scratch(shop.session.artifacts), "speed"),
                shop.session.app.work,
            )
        sums.update(found.by_layer)
        counted[0] = found.count
        return Lap(running.wall, running.cpu, found.count)

    for _ in range(size.rounds):
        duel.round(baseline, ours)
    plain = _plain_moments(shop, list(given().batches()), skipped)
    gap = max(float((sums[i] - plain[i]).norm() / plain[i].norm()) for i in layers)
    found = duel.figures("covariance", "s a token", 2)
    return [
        *found,
        Figure("covariance.tokens", counted[0], "tokens"),
        at_most("covariance.difference", gap, "of ‖C‖", 1e-5),
    ]


def probing(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Facts a second: the greedy answer, and the log-probabilities of two candidates."""
    requests = facts(size.prompts)
    prompts = [r.template.replace("{}", r.subject) for r in requests]
    pairs = [(p, answer) for p, r in zip(prompts, requests, strict=True) for answer in (r.target, "Paris")]
    model = shop.session.app.base.language_model()
    duel = Duel()
    said: dict[str, list[str]] = {}
    scored: dict[str, list[float]] = {}

    def baseline() -> Lap:
        with lap() as running:
            said["plain"] = [_generate(shop, prompt) for prompt in prompts]
            scored["plain"] = [_logprob(shop, prompt, f" {answer}") for prompt, answer in pairs]
        return Lap(running.wall, running.cpu, len(prompts))

    def ours() -> Lap:
        with lap() as running:
            said["ours"] = model.complete(prompts, max_new_tokens=ANSWER_TOKENS)
            scored["ours"] = [score.logprob for score in model.scores(pairs)]
        return Lap(running.wall, running.cpu, len(prompts))

    for _ in range(size.rounds):
        duel.round(baseline, ours)
    same = sum(a == b for a, b in zip(said["plain"], said["ours"], strict=True)) / len(prompts)
    gap = max(abs(a - b) for a, b in zip(scored["plain"], scored["ours"], strict=True))
    return [
        *duel.figures("probing", "s a fact", 10),
        Figure("probing.same_answers", same, "share"),
        at_most("probing.logprob_difference", gap, "nats", 1e-3),
    ]


@torch.no_grad()
def _generate(shop: Workshop, prompt: str) -> str:
    """One prompt, as the library's own loop does it; cut at the first newline, as answers are."""
    tokenizer = shop.loaded.tokenizer
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    out = shop.loaded.model.generate(  # type: ignore[operator]
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=ANSWER_TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    before = str(tokenizer.decode(ids[0], skip_special_tokens=True, clean_up_tokenization_spaces=False))
    whole = str(tokenizer.decode(out[0], skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return whole[len(before) :].split("\n", 1)[0]


@torch.no_grad()
def _logprob(shop: Workshop, prompt: str, continuation: str) -> float:
    tokenizer = shop.loaded.tokenizer
    ids = tokenizer(prompt + continuation)["input_ids"]
    start = len(tokenizer(prompt)["input_ids"])
    logs = shop.loaded.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(logs[i - 1, ids[i]] for i in range(start, len(ids))))


def _inputs(rows: list[list[int]]) -> dict[str, Tensor]:
    width = max(map(len, rows))
    return {"input_ids": torch.tensor([row + [0] * (width - len(row)) for row in rows])}


def _tokens(batches: list[list[list[int]]], skipped: int) -> int:
    return sum(len(row) - skipped for rows in batches for row in rows)


@torch.no_grad()
def _plain_moments(shop: Workshop, batches: list[list[list[int]]], skipped: int) -> dict[int, Tensor]:
    """Σ k kᵀ row by row in float64."""
    layers = list(shop.recipe.layers)
    found: dict[int, Tensor] = {}
    for row in (row for rows in batches for row in rows):
        with record_activations(shop.decoder, keys=layers) as seen:
            shop.loaded.model(input_ids=torch.tensor([row]), use_cache=False)
        for layer in layers:
            k = seen.keys[layer][0, skipped:].double()
            found[layer] = found[layer] + k.T @ k if layer in found else k.T @ k
    return found


def sampled(shop: Workshop, size: SuiteSize) -> list[str]:
    """Text for a session without any: the model samples it."""
    source = SampledCorpus(shop.decoder, shop.loaded.tokenizer, size.tokens, shop.recipe.seed)
    with frozen(shop.loaded.model):
        rows = [row for batch in source.batches() for row in batch]
    return [str(text) for text in shop.loaded.tokenizer.batch_decode(rows, skip_special_tokens=True) if text.strip()]
