"""Consistency: texts compared with texts about other bearers of the fact."""

from __future__ import annotations

import math

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.consistency import Consistency, TfIdf, read_references
from kbsync.research.metrics import PairScore


def score(nll: float, *hits: bool) -> PairScore:
    return PairScore(nll, hits or (False,))


def test_tfidf_cosine_by_hand() -> None:
    tfidf = TfIdf(["red wine", "red beer"])
    red, rare = 1.0, math.log(3 / 2) + 1
    assert tfidf.cosine("Red wine", "red beer") == pytest.approx(red * red / (red * red + rare * rare))
    assert tfidf.cosine("red, red wine!", "red red wine") == pytest.approx(1.0)
    assert tfidf.cosine("wine", "beer") == tfidf.cosine("green tea", "red wine") == 0.0


def test_consistency_joins_texts_and_refuses_without_references() -> None:
    consistency = Consistency({("P1", "Q1"): ("red wine", "old wine"), ("P1", "Q2"): ("cold beer",)})
    assert consistency.score(["red old", "wine wine"], "P1", "Q1", "7") == pytest.approx(100.0)
    assert consistency.score(["red wine"], "P1", "Q2", "7") == 0.0
    with pytest.raises(DataError, match="Case 7: no reference texts for relation 'P1' and target 'Q9'"):
        consistency.score(["red wine"], "P1", "Q9", "7")
    with pytest.raises(DataError, match="can't be measured without reference texts"):
        Consistency({})


def test_references_are_read_from_attribute_snippets(tmp_path) -> None:
    path = tmp_path / "snippets.json"
    path.write_text('[{"relation_id": "P140", "target_id": "Q432", "samples": [{"name": "x", "text": "a text"}]}]')
    assert read_references(path) == {("P140", "Q432"): ("a text",)}
    path.write_text('[{"relation_id": "P140", "target_id": "Q432", "samples": "a text"}]')
    with pytest.raises(DataError, match="record 1: 'samples' must be a list of objects"):
        read_references(path)
