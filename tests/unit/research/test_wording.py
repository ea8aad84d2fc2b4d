"""In which words CounterFact's cases are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import Form, FramedPhrasing, Phrasing, Use
from kbsync.domain.reframing import FRAMES_EACH
from kbsync.domain.relation import Relation
from kbsync.domain.statement import PropertyId
from kbsync.research.counterfact import CounterfactCase, read_counterfact
from kbsync.research.wording import PUBLISHED, InAllPhrasings, in_shipped_phrasings
from tests.support.bench_records import flattened, published, write
from tests.support.paths import DATA

COUNTRY = PropertyId("P17")
RELATION = Relation(
    name="country",
    property=COUNTRY,
    label="country",
    phrasings=(
        Phrasing("{} lies in the country of"),
        Phrasing("The country around {} is called"),
        Phrasing("Which country is {} in?", Form.QUESTION),
        Phrasing("The state of {} is", use=Use.HELD_OUT),
    ),
)
CASE = CounterfactCase(
    benchmark="counterfact",
    id="7",
    subject="Ulm",
    template="{} is a city in",
    target="Italy",
    true="Germany",
    paraphrases=("Words of no use. Ulm belongs to",),
    neighbours=(),
)
AROUND, WHICH = (
    FramedPhrasing("The country around {} is called", "."),
    FramedPhrasing("Q: Which country is {} in?\nA:", "\n"),
)
LIES = FramedPhrasing("{} lies in the country of", ".")


def worded(case: CounterfactCase = CASE, properties: dict[str, str] | None = None) -> tuple[FramedPhrasing, ...]:
    wording = InAllPhrasings({"7": COUNTRY} if properties is None else properties, {COUNTRY: RELATION})
    rewrite = wording.rewrite(case)
    assert (rewrite.template, rewrite.subject, rewrite.target, rewrite.end) == (case.template, "Ulm", "Italy", ".")
    return rewrite.phrasings


def test_the_published_wording_is_the_case_s_own() -> None:
    assert PUBLISHED.rewrite(CASE) == CASE.rewrite
    assert PUBLISHED.told([CASE]) == {}


def test_a_refinement_may_practise_a_case_in_further_frames() -> None:
    published = PUBLISHED.rewrite(CASE, is_practised=True)
    assert replace(published, practised=()) == CASE.rewrite
    assert {one.end for one in published.practised} == {""}, "nor does the published prompt write an end"
    assert all(one.template.endswith("{} is a city in") for one in published.practised)
    wording = InAllPhrasings({"7": COUNTRY}, {COUNTRY: RELATION})
    practised = wording.rewrite(CASE, is_practised=True).practised
    assert len(practised) == 4 * FRAMES_EACH and all(one.end for one in practised)
    assert wording.rewrite(CASE).practised == ()


def test_the_edit_phrasings_of_the_relation_are_written_and_no_held_out_one() -> None:
    assert worded() == (LIES, AROUND, WHICH)


@pytest.mark.parametrize(
    ("paraphrase", "left"),
    [
        ("Words of no use. Ulm lies in the country of", (AROUND, WHICH)),
        ("ULM LIES IN THE COUNTRY OF", (AROUND, WHICH)),
        ("Which country is Ulm in? It is in", (LIES, AROUND)),
        ("Neu-Ulm lies in the county of", (LIES, AROUND, WHICH)),
    ],
)
def test_what_a_paraphrase_asks_is_not_written(paraphrase: str, left: tuple[FramedPhrasing, ...]) -> None:
    assert worded(replace(CASE, paraphrases=(paraphrase,))) == left


def test_a_phrasing_that_is_the_published_prompt_is_not_written_twice() -> None:
    assert worded(replace(CASE, template="{} lies in the country of")) == (AROUND, WHICH)


def test_a_case_without_a_known_relation_is_written_in_its_prompt() -> None:
    assert worded(properties={}) == worded(properties={"7": "P6"}) == ()


def test_the_evidence_says_how_many_were_written() -> None:
    asked = replace(CASE, paraphrases=("Ulm lies in the country of",))
    told = InAllPhrasings({"7": COUNTRY}, {COUNTRY: RELATION}).told([CASE, asked, replace(CASE, id="8")])
    assert told == {
        "cases_in_more_phrasings": 2,
        "cases_without_a_relation": 1,
        "phrasings": 5,
        "left_out_as_they_are_measured": 1,
    }


def test_the_published_format_names_the_relation_and_the_flattened_one_needs_another_file(tmp_path: Path) -> None:
    whole = write(tmp_path / "cf.json", [published(1, "Ulm")])
    flat = write(tmp_path / "flat.json", [flattened(1, "Ulm")])
    ids = write(tmp_path / "ids.json", [{"case_id": 1, "relation_id": "P17"}, {"case_id": 2, "relation_id": None}])
    phrasings = [
        in_shipped_phrasings(data, more).rewrite(next(iter(read_counterfact(data)))).phrasings
        for data, more in ((whole, None), (flat, ids))
    ]
    assert phrasings[0] == phrasings[1] and len(phrasings[0]) == 7
    with pytest.raises(DataError, match="no record names its relation") as error:
        in_shipped_phrasings(flat, None)
    assert "--relation-ids" in str(error.value.next_step)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the reference data ../shared/data is not there")
def test_every_relation_of_the_benchmark_has_phrasings() -> None:
    data = DATA / "counterfact" / "counterfact-edit-10000.json.gz"
    wording = in_shipped_phrasings(data, DATA / "counterfact" / "counterfact-edit-10000-wikidata-ids.jsonl.gz")
    told = wording.told([case for case, _ in zip(read_counterfact(data), range(2000), strict=False)])
    assert told["cases_without_a_relation"] < 40, "cases whose relation the derived file does not know"
    assert told["phrasings"] > 6 * told["cases_in_more_phrasings"]
