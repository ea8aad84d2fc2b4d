"""Relations from records, the choice of examples, and the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.editing.relations.few_shot import Pair
from kbsync.research.linearity import Linearity, correlation, default_layers, drawn
from kbsync.research.relation_pairs import RelationData, read_relations


def test_of_each_relation_the_commonest_template_is_taken(tmp_path: Path) -> None:
    lines = [
        {"relation_id": "P1", "subject": s, "prompt": p.format(s), "target_true": "x", "paraphrase": f"about {s}"}
        for s, p in (("A", "{} is"), ("B", "{} is"), ("C", "of {} comes"))
    ]
    (tmp_path / "r.json").write_text(json.dumps(lines))
    (relation,) = read_relations(tmp_path / "r.json")
    assert (relation.name, relation.template) == ("P1", "{} is")
    assert [p.subject for p in relation.pairs] == ["A", "B"] and relation.paraphrases == ("about A", "about B")


def test_correlation_is_pearsons() -> None:
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([1, 2, 3, 4], [4, 1, 3, 2]) == pytest.approx(-0.4)
    assert correlation([1, 1, 1], [1, 2, 3]) == 0
    assert correlation([1, 2], [1, 2]) == 0


def test_layers_leave_out_the_last_ones() -> None:
    assert default_layers(30) == (2, 5, 8, 11, 14, 17, 20, 23, 26)
    assert default_layers(4) == (2,)


def test_examples_have_as_many_answers_as_there_are_and_no_subject_is_asked_that_is_shown() -> None:
    pairs = tuple(Pair(f"s{n}", f"a{n % 3}") for n in range(12))
    examples, others = drawn(RelationData("r", "{} is", pairs), Linearity(examples=4, subjects=5))
    assert len({pair.answer for pair in examples}) == 3 and len(examples) == 4
    assert len(others) == 5 and not set(examples) & set(others)
    again = drawn(RelationData("r", "{} is", pairs[::-1]), Linearity(examples=4, subjects=5))
    assert again == (examples, others), "the order of the records does not matter"
