"""zsRE records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.zsre import ZsreCase, read_zsre
from tests.support.bench_records import write, zsre


def test_zsre_writes_the_first_right_answer_and_asks_the_neighbour_as_a_question(tmp_path: Path) -> None:
    (case,) = read_zsre(write(tmp_path / "zsre.json", [zsre("Oslo")]))
    assert case == ZsreCase(
        benchmark="zsre",
        id="0",
        subject="Oslo",
        template="Where does {} lie?",
        target="northern Rome",
        paraphrases=("In which land is Oslo?",),
        neighbours=("nq question: who walked on the moon?",),
        answers=("northern Rome", "Rome"),
        neighbour_answer="Neil Armstrong",
    )


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (zsre("Oslo", src="Where?"), "record 1: the subject 'Oslo' does not occur in its prompt 'Where?'"),
        (zsre("Oslo", answers=[]), "record 1: 'answers' holds no answer"),
        (zsre("Oslo", answers=["", "x"]), "record 1: 'answers' must be a list of texts"),
        (zsre("Oslo", loc_ans=""), "record 1: 'loc_ans' must be text"),
    ],
)
def test_a_wrong_zsre_record_is_named(tmp_path: Path, record: object, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        list(read_zsre(write(tmp_path / "zsre.json", [record])))
