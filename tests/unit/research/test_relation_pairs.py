"""Relations are read from records. Those of the ledger are tried with the command itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.editing.relations.few_shot import Pair
from kbsync.research.relation_pairs import read_relations


def record(relation: str | None, subject: str, target: str, prompt: str = "The capital of {} is") -> dict[str, object]:
    return {
        "relation_id": relation,
        "subject": subject,
        "prompt": prompt.format(subject),
        "target_true": target,
        "paraphrase": f"{subject} is governed from",
    }


def written(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_a_relation_has_the_template_that_occurs_most_and_a_record_without_a_relation_is_in_none(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path / "records.jsonl",
        record("P36", "France", "Paris"),
        record("P36", "Norway", "Oslo"),
        record("P36", "Spain", "Madrid", "{} has its capital in"),
        record(None, "Peru", "Lima"),
    )
    (relation,) = read_relations(path)
    assert (relation.name, relation.template) == ("P36", "The capital of {} is")
    assert relation.pairs == (Pair("France", "Paris"), Pair("Norway", "Oslo"))
    assert relation.paraphrases == ("France is governed from", "Norway is governed from")


def test_a_record_that_names_no_relation_at_all_is_an_error_with_its_place(tmp_path: Path) -> None:
    bare = record("P36", "France", "Paris")
    del bare["relation_id"]
    with pytest.raises(DataError, match="record 1: 'relation_id'"):
        read_relations(written(tmp_path / "records.jsonl", bare))
