"""``kbsync bench scale-out``: what it writes. The run itself needs minutes and two idle cores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.scale_out import NOT_MEASURED, facts, measured_elsewhere


def test_no_two_facts_have_the_same_prompt() -> None:
    made = facts(1000)
    assert len({fact.prompt for fact in made}) == 1000
    assert facts(10) == made[:10]


def test_what_is_not_measured_is_named_with_its_target() -> None:
    assert all(target.startswith("<= ") for _, target in NOT_MEASURED.values())


def test_figures_of_other_files_are_taken_over_with_their_command(tmp_path: Path) -> None:
    figure = {"name": "offload.peak_bytes", "value": 7, "unit": "bytes", "target": "<= 8", "holds": True}
    (tmp_path / "a.json").write_text(json.dumps({"command": "c", "figures": [figure, {"name": "other"}]}))
    taken = {one["name"]: one for one in measured_elsewhere([tmp_path / "a.json"])}
    assert list(taken) == list(NOT_MEASURED)
    assert taken["offload.peak_bytes"] == figure | {"command": "c"}
    assert taken["plan.seconds@100000"]["value"] is None
    assert taken["plan.seconds@100000"]["holds"] is False


@pytest.mark.parametrize("text", ["", "[]", '{"figures": [{}]}'])
def test_a_file_that_is_no_evidence_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="no evidence file"):
        measured_elsewhere([tmp_path / "a.json"])
