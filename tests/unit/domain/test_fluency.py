"""Entropy and repetition of texts, against examples computed by hand."""

from __future__ import annotations

import math

import pytest

from kbsync.domain.fluency import ngram_entropy, repetition, words


def test_repetition_counts_what_stood_before() -> None:
    assert repetition("one two three four five") == 0.0
    assert repetition("no no no no no") == pytest.approx(2 / 3)
    assert repetition("too short") == 0.0


def test_words_are_split_as_in_the_penn_treebank() -> None:
    assert words("It isn't 1,000.5 well-known (yet).") == [
        "It", "isn", "'t", "1,000.5", "well-known", "(", "yet", ")", "."
    ]  # fmt: skip


def test_entropy_by_hand() -> None:
    """Five words: four different bigrams (2 bits), three different trigrams (log2 3 bits)."""
    assert ngram_entropy("one two three four five") == pytest.approx(100 * (2 / 3 * 2 + 4 / 3 * math.log2(3)) / 2)


def test_entropy_counts_repetitions() -> None:
    """a b a b a: bigrams ab, ba twice each (1 bit); trigrams aba twice, bab once (log2 3 - 2/3 bits)."""
    assert ngram_entropy("a b a b a") == pytest.approx(100 * (2 / 3 + 4 / 3 * (math.log2(3) - 2 / 3)) / 2)
    assert ngram_entropy("no no no no no") == 0.0
    assert ngram_entropy("one") == ngram_entropy("") == 0.0
