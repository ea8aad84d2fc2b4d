"""Only cases that the base has right: which they are, that the choice goes on after a kill, and when there are too
few."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, Stopped
from kbsync.research.bench import Data, choose, run_counterfact
from kbsync.research.cases import Part
from kbsync.research.counterfact import CounterfactCase, read_counterfact
from kbsync.research.grid import Bench
from tests.support.bench_records import published, write
from tests.support.research_bench import EXTENT, NoiseEditor, Steps, bench, noise, value

NAMES = ("Rome", "Oslo", "Paris", "Lyon", "France", "Italy")


@pytest.fixture
def counterfact(tmp_path: Path) -> Data:
    """120 cases, more than two parts of fifty, with all pairs of answers."""
    pairs = [(new, true) for new in NAMES for true in NAMES if new != true] * 4
    records = [published(n, f"Town {n}", new=new, true=true) for n, (new, true) in enumerate(pairs)]
    return Data(path=write(tmp_path / "cf.json", records), part=Part.ALL, known=True)


def has_right(place: Bench, case: CounterfactCase) -> bool:
    """The rule, one prompt at a time."""
    model = place.base.language_model()
    for prompt in (case.prompt, *case.neighbours):
        true, new = model.scores([(prompt, case.true), (prompt, case.target)])
        if true.nll >= new.nll:
            return False
    return True


@pytest.mark.slow
def test_the_chosen_are_those_whose_true_answers_the_base_prefers(tmp_path: Path, counterfact: Data) -> None:
    place = bench(tmp_path)
    right = {c.id for c in read_counterfact(counterfact.path) if has_right(place, c)}
    assert 4 <= len(right) < 120
    chosen = choose(place, counterfact, len(right))
    assert {case.id for case in chosen.cases} == right
    fewer = choose(place, counterfact, 3)
    assert fewer.cases == chosen.cases[:3] and fewer.asked < chosen.asked
    with pytest.raises(DataError, match=rf"the base has {len(right)} of 120 right"):
        choose(place, counterfact, len(right) + 1)


@pytest.mark.slow
def test_on_them_the_base_begins_with_full_specificity_and_no_efficacy(tmp_path: Path, counterfact: Data) -> None:
    document = run_counterfact(bench(tmp_path), counterfact, noise(NoiseEditor()), edits=4, extent=EXTENT)
    assert value(document, "none@4.specificity_success") == 1.0
    assert value(document, "none@4.efficacy_success") == 0.0
    assert document["data"]["known"] is True and document["data"]["asked"] >= 4


@pytest.mark.slow
def test_a_killed_choice_goes_on_with_the_next_part(tmp_path: Path, counterfact: Data) -> None:
    whole = choose(bench(tmp_path / "whole"), counterfact, 4)
    with pytest.raises(Stopped):
        choose(bench(tmp_path / "killed", Steps(stop_after=1)), counterfact, 4)
    assert choose(bench(tmp_path / "killed"), counterfact, 4) == whole
