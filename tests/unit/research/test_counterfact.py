"""CounterFact records, as published and flattened."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.counterfact import CounterfactCase, read_counterfact
from tests.support.bench_records import flattened, published, write


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
        (
            published(1, "Lyon", rewrite={"target_true": "Paris"}),
            "record 2: 'target_new' and 'target_true' must be objects",
        ),
        (
            published(1, "Lyon", neighborhood_prompts=["", 3]),
            "record 2: 'neighborhood_prompts' must be a list of texts",
        ),
        (published(1, "Lyon", requested_rewrite=[]), "record 2: 'requested_rewrite' must be an object"),
        ([1], "record 2: a JSON object was expected, not list"),
    ],
)  # fmt: skip
def test_a_wrong_counterfact_record_is_named(tmp_path: Path, record: object, said: str) -> None:
    path = write(tmp_path / "cf.json", [flattened(0, "Nice"), record])
    with pytest.raises(DataError) as caught:
        list(read_counterfact(path))
    assert f"{path}, {said}" in caught.value.what
