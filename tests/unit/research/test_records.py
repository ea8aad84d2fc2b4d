"""Reading benchmark files: both formats, both packings, and every mistake by file and record."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.cases import template_of
from kbsync.research.counterfact import CounterfactCase, read_counterfact
from kbsync.research.records import file_hash, read_records
from kbsync.research.zsre import ZsreCase, read_zsre
from tests.support.bench_records import flattened, published, write, zsre
from tests.support.paths import DATA as REFERENCE

DATA = REFERENCE / "counterfact"


def test_counterfact_as_published(tmp_path: Path) -> None:
    path = write(tmp_path / "cf.json", [published(7, "Lyon")])
    assert list(read_counterfact(path)) == [
        CounterfactCase(
            benchmark="counterfact",
            id="7",
            subject="Lyon",
            template="{} is a city in",
            target="Rome",
            true="Paris",
            paraphrases=("Words. Lyon lies in", "Find Lyon on a map of"),
            neighbours=("The neighbour 7 is a city in", "Next to 7 is"),
            generation=("Lyon is known for", "In Lyon people"),
            relation="P17",
            target_id="Q1",
        )
    ]


def test_flattened_counterfact_gives_the_same_case_with_one_prompt_of_each_kind(tmp_path: Path) -> None:
    (flat,) = read_counterfact(write(tmp_path / "flat.json.gz", [flattened(7, "Lyon")]))
    (full,) = read_counterfact(write(tmp_path / "full.json", [published(7, "Lyon")]))
    assert (flat.prompt, flat.template, flat.target, flat.true) == (full.prompt, full.template, full.target, full.true)
    assert (flat.paraphrases, flat.neighbours) == (full.paraphrases[:1], full.neighbours[:1])
    assert flat.generation == ()


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
    ("record", "said"),
    [
        (flattened(1, "Lyon", prompt="Where is it"), "record 2: the subject 'Lyon' does not occur in its prompt"),
        (flattened(1, "Lyon", target_new=" "), "record 2: 'target_new' must be text that is not empty"),
        (flattened(1, "Lyon", target_new="Paris"), "record 2: case 1 has the same new and true target"),
        (flattened(1, "Lyon", locality_ground_truth="Oslo"), "record 2: the neighbour's answer 'Oslo' is not"),
        (flattened(0, "Lyon"), "record 2: case 0 occurs a second time"),
        (flattened(1, "Lyon", case_id="x"), "record 2: 'case_id' must be a whole number"),
        (published(1, "Lyon", rewrite={"prompt": "no place"}), "record 2: the prompt 'no place' must hold {} once"),
        (published(1, "Lyon", rewrite={"target_new": {"str": ""}}), "record 2: 'str' must be text that is not empty"),
        (published(1, "Lyon", rewrite={"target_true": "Paris"}), "record 2: 'target_new' and 'target_true' must be objects"),
        (published(1, "Lyon", neighborhood_prompts=["", 3]), "record 2: 'neighborhood_prompts' must be a list of texts"),
        (published(1, "Lyon", requested_rewrite=[]), "record 2: 'requested_rewrite' must be an object"),
        ([1], "record 2: a JSON object was expected, not list"),
    ],
)  # fmt: skip
def test_a_wrong_counterfact_record_is_named(tmp_path: Path, record: object, said: str) -> None:
    path = write(tmp_path / "cf.json", [flattened(0, "Nice"), record])
    with pytest.raises(DataError) as caught:
        list(read_counterfact(path))
    assert f"{path}, {said}" in caught.value.what


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


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_the_real_files_are_read_whole() -> None:
    counterfact = list(read_counterfact(DATA / "counterfact-edit-10000.json.gz"))
    assert len(counterfact) == 10_000
    assert counterfact[0].template == "The mother tongue of {} is"
    assert (counterfact[0].target, counterfact[0].true) == ("English", "French")
    questions = list(read_zsre(DATA / "zsre_mend_train-1k.json.gz"))
    assert len(questions) == 1_000
    assert (questions[0].template, questions[0].target) == ("What is the product made by {}?", "uniform")
