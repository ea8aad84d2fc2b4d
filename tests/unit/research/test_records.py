"""Reading benchmark files: both formats, both packings, and every mistake by file and record."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.cases import template_of
from kbsync.research.counterfact import read_counterfact
from kbsync.research.records import file_hash, read_records
from kbsync.research.zsre import ZsreCase, read_zsre
from tests.support.bench_records import flattened, write
from tests.support.paths import DATA as REFERENCE

DATA = REFERENCE / "counterfact"


def test_a_case_is_a_rewrite() -> None:
    case = ZsreCase(
        benchmark="zsre", id="3", subject="a {b}", template="Is {} c", target="d", paraphrases=(), neighbours=(),
        answers=("d",), neighbour_answer="e",
    )  # fmt: skip
    rewrite = case.rewrite
    assert case.prompt == "Is a {b} c"
    assert (rewrite.subject, rewrite.template, rewrite.target) == ("a {b}", "Is {} c", "d")
    assert rewrite.prompt == case.prompt


@pytest.mark.parametrize(
    ("prompt", "subject", "template"),
    [
        ("Lyonnais of Lyon is", "Lyon", "Lyonnais of {} is"),
        ("Paris, Paris is", "Paris", "{}, Paris is"),
        ("NewYork is", "York", "New{} is"),
        ("The C++ language is", "C++", "The {} language is"),
    ],
)
def test_the_subject_is_found_as_a_word_first(prompt: str, subject: str, template: str) -> None:
    assert template_of(prompt, subject, "here") == template


def test_braces_before_the_subject_are_refused() -> None:
    with pytest.raises(DataError, match="here: the prompt"):
        template_of("In {} of Lyon", "Lyon", "here")


def test_json_lines_and_arrays_plain_and_packed_are_the_same_records(tmp_path: Path) -> None:
    records = [{"number": n, "text": "ü€" * n, "deep": {"x": ["]", "}"]}} for n in range(300)]
    lines = "\n".join(json.dumps(r) for r in records).encode()
    (tmp_path / "lines.jsonl").write_bytes(lines)
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(lines))
    paths = [
        write(tmp_path / "array.json", records),
        write(tmp_path / "array.json.gz", records),
        tmp_path / "lines.jsonl",
        tmp_path / "lines.jsonl.gz",
    ]
    for path in paths:
        found = list(read_records(path))
        assert [dict(r.fields) for r in found] == records
        assert [r.number for r in found] == list(range(1, 301))
    assert file_hash(paths[0]) == file_hash(paths[1]) != file_hash(paths[2]) == file_hash(paths[3])


def test_empty_files_hold_no_records(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert list(read_records(tmp_path / "empty")) == []
    assert list(read_records(write(tmp_path / "array.json", []))) == []


@pytest.mark.parametrize("keep", [0.3, 0.999])
@pytest.mark.parametrize("name", ["cf.json", "cf.json.gz"])
def test_a_file_that_is_cut_off_is_refused_after_its_whole_records(tmp_path: Path, name: str, keep: float) -> None:
    path = write(tmp_path / name, [flattened(n, f"Town {n}") for n in range(50)])
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match="can't be read after record"):
        list(read_records(path))


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json can't be read after record 0"):
        list(read_records(tmp_path / "none.json"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """The first record is there before the file's broken end is reached."""
    path = tmp_path / "long.json"
    path.write_text("[" + ",".join(json.dumps(flattened(n, f"Town {n}")) for n in range(2000)) + ", broken")
    assert next(read_records(path)).number == 1


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_the_real_files_are_read_whole() -> None:
    counterfact = list(read_counterfact(DATA / "counterfact-edit-10000.json.gz"))
    assert len(counterfact) == 10_000
    assert counterfact[0].template == "The mother tongue of {} is"
    assert (counterfact[0].target, counterfact[0].true) == ("English", "French")
    questions = list(read_zsre(DATA / "zsre_mend_train-1k.json.gz"))
    assert len(questions) == 1_000
    assert (questions[0].template, questions[0].target) == ("What is the product made by {}?", "uniform")
