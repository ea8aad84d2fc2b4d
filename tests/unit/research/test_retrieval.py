"""The retriever finds sentences by shared words, and says nothing where there are none."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.retrieval import Retriever

SENTENCES = ["The government of Spain is led by Pedro Sánchez.", "The capital of Italy is Rome.", "Rome is old."]


def test_the_best_sentence_comes_first_and_what_shares_no_word_is_left_out() -> None:
    retriever = Retriever(SENTENCES)
    assert retriever.best("What is the capital of Italy called?", 3) == [SENTENCES[1]]
    assert retriever.best("Who leads the government of Spain?", 1) == [SENTENCES[0]]
    assert set(retriever.best("Tell me of Rome.", 5)) == {SENTENCES[1], SENTENCES[2]}
    assert retriever.best("Was nun?", 2) == []


def test_nothing_to_search_is_an_error() -> None:
    with pytest.raises(DataError, match="no sentence"):
        Retriever([])


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.research.retrieval.find_spec", lambda name: None)
    with pytest.raises(DataError) as raised:
        Retriever(SENTENCES)
    assert "kbsync[research]" in str(raised.value.next_step)
