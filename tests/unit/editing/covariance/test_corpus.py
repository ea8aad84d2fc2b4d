"""The text of a covariance: a budget of tokens in batches, from where it was left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kbsync.editing.covariance.corpus import WINDOW, Corpus, GivenCorpus, SampledCorpus, corpus, identity
from kbsync.editing.covariance.covariance import covariances
from kbsync.model.decoder import discover
from tests.support.families import MemoryArtifacts, Silent, random_model, recipe, texts, tokenizer


def given() -> Corpus:
    return GivenCorpus(tokenizer(), texts(), 1500, 0)


def sampled() -> Corpus:
    return SampledCorpus(discover(random_model("llama")), tokenizer(), 15_000, 0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [given, sampled])
def test_it_can_be_left_at_any_batch_and_taken_up_again(make: Callable[[], Corpus], monkeypatch: Any) -> None:
    monkeypatch.setattr("kbsync.editing.covariance.corpus.BATCH_TOKENS", 400)
    whole = list(make().batches())
    assert len(whole) > 3
    first = make()
    walk = first.batches()
    taken = [next(walk), next(walk)]
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    second = make()
    second.restore(state)
    assert [*taken, *second.batches()] == whole
    assert list(second.batches()) == [], "the budget is spent"


def test_the_budget_bounds_the_tokens() -> None:
    class Counting(Silent):
        def advance(self, count: int = 1) -> None:
            self.advances += count

    work = Counting()
    r = recipe(covariance_tokens=333)
    covariances(discover(random_model("llama")), tokenizer(), texts(), r, "base", MemoryArtifacts(), work)
    assert work.advances == 333


def test_a_long_text_is_cut_into_windows_that_all_begin_as_texts_do() -> None:
    text = "".join(texts(12))
    ids = tokenizer()(text, add_special_tokens=False)["input_ids"]
    rows = [row for batch in GivenCorpus(tokenizer(), [text], 10**6, 0).batches() for row in batch]
    assert len(ids) > 2 * WINDOW
    assert {row[0] for row in rows} == {0}
    assert sum(len(row) - 1 for row in rows) == len(ids)
    assert max(map(len, rows)) == WINDOW


def test_the_rows_of_a_covariance_are_what_the_model_sees() -> None:
    model = random_model("llama")
    model.config.max_position_embeddings = 2 * WINDOW
    text, seen = "".join(texts(12)), []
    ids = tokenizer()(text, add_special_tokens=False)["input_ids"]
    model.model.embed_tokens.register_forward_pre_hook(lambda _m, args: seen.extend(args[0].tolist()))
    r = recipe(covariance_tokens=10**6)
    covariances(discover(model), tokenizer(), [text], r, "base", MemoryArtifacts(), Silent())
    pieces = [row for row in seen if len(row) > 3]  # the shorter one is discovery's probe
    assert {row[0] for row in pieces} == {0}
    assert sum(sum(t != 0 for t in row) for row in pieces) == len(ids)
    assert max(map(len, pieces)) == WINDOW


def test_a_small_budget_samples_all_texts_by_the_seed() -> None:
    def rows(seed: int) -> list[list[int]]:
        return [row for batch in GivenCorpus(tokenizer(), texts(), 100, seed).batches() for row in batch]

    assert rows(0) == rows(0) != rows(1)


@pytest.mark.slow
def test_a_sampled_corpus_begins_as_texts_do_and_ends_at_the_end_token() -> None:
    decoder = discover(random_model("llama"))
    rows = [row for batch in SampledCorpus(decoder, tokenizer(), 6000, 0).batches() for row in batch]
    assert all(row[0] == 0 and tokenizer().eos_token_id not in row[1:] for row in rows)
    assert sum(len(row) - 1 for row in rows) >= 6000
    assert any(len(row) < 129 for row in rows)


def test_text_is_sampled_where_none_is_given() -> None:
    decoder = discover(random_model("llama"))
    assert isinstance(corpus(decoder, tokenizer(), texts(), 10, 0), GivenCorpus)
    assert isinstance(corpus(decoder, tokenizer(), [], 10, 0), SampledCorpus)
    assert identity(texts(30)) != identity(texts(31)) != identity([])


@pytest.mark.parametrize("family", ["gpt2", "gptj"])
@pytest.mark.parametrize("given_text", [True, False])
def test_a_model_with_few_places_reads_no_more_at_once(given_text: bool, family: str) -> None:
    """GPT-2 learns its positions and GPT-J has a table of them, so a longer row would be an index out of range."""
    decoder = discover(random_model(family))
    places = decoder.model.config.n_positions
    text = ["".join(texts(12))] if given_text else []
    assert places < WINDOW
    rows = [row for batch in corpus(decoder, tokenizer(), text, 600, 0).batches() for row in batch]
    assert max(map(len, rows)) <= places
    covariances(decoder, tokenizer(), text, recipe(covariance_tokens=600), "base", MemoryArtifacts(), Silent())
