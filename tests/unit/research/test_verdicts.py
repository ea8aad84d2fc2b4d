"""The judge beside labels: how they are read and counted, and the bounds that the labelled answers must keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.judging import Said
from kbsync.domain.verdict import VerdictKind
from kbsync.research.records import read_records
from kbsync.research.verdicts import Origin, Part, measure_verdicts, mistakes, read_labelled, scores
from tests.support.paths import ROOT

ANSWERS = ROOT / "tests" / "samples" / "answers" / "answers.jsonl.gz"
ROW: dict[str, Any] = {
    "origin": "library",
    "part": "held_out",
    "prompt": "The capital of France is",
    "continuation": " Paris.",
    "right": ["Paris"],
    "former": ["Vichy"],
    "label": "right",
}


def write(path: Path, *changes: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(ROW | change) + "\n" for change in changes))
    return path


def test_precision_and_recall_count_agreement_by_kind_of_verdict(tmp_path: Path) -> None:
    answers = read_labelled(
        write(
            tmp_path / "a.jsonl",
            {},
            {"label": "neither"},
            {"continuation": " Vichy.", "label": "former"},
            {"continuation": " Lyon.", "label": "right"},
            {"continuation": " Paris and Vichy.", "label": "both"},
            {"continuation": "", "label": "neither"},
        )
    )
    measured = scores(answers)
    current, stale, unknown = (measured[k] for k in (VerdictKind.CURRENT, VerdictKind.STALE, VerdictKind.UNKNOWN))
    assert (current.precision, current.recall) == (0.5, 0.5)
    assert (stale.precision, stale.recall) == (1, 1)
    assert (unknown.agreed, unknown.judged, unknown.labelled) == (2, 3, 3)
    assert [a.label for a in mistakes(answers)] == [Said.NEITHER, Said.RIGHT]


def test_only_held_out_answers_make_the_figures_and_the_demonstration_is_counted_by_itself(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {},
        {"part": "rules", "label": "neither"},
        {"part": "rules", "origin": "demo", "label": "former"},
    )
    document = measure_verdicts(path)
    values = {f["name"]: (f["value"], f["holds"]) for f in document["figures"]}
    assert values["precision.current"] == (1, True)
    assert values["recall.stale"] == (0, False)
    assert values["labelled"] == (3, False)
    assert values["demo.wrong"] == (1, True)
    assert list(values) == [
        *(f"precision.{kind}" for kind in ("current", "stale", "unknown")),
        *(f"recall.{kind}" for kind in ("current", "stale", "unknown")),
        "labelled",
        "demo.wrong",
    ]
    assert document["rules"]["current"]["precision"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"label": "maybe"},
        {"part": "half"},
        {"origin": ""},
        {"continuation": None},
        {"right": "Paris"},
        {"former": [1]},
        {"prompt": " "},
    ],
)
def test_a_wrong_field_is_named_with_file_and_record(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write(tmp_path / "a.jsonl", {}, change)
    with pytest.raises(DataError, match=rf"a\.jsonl, record 2: '{next(iter(change))}' must be"):
        read_labelled(path)


def test_the_labelled_answers_are_many_and_of_all_kinds() -> None:
    answers = read_labelled(ANSWERS)
    records = [record.fields for record in read_records(ANSWERS)]
    relations = {path.stem for folder in ("library", "relations") for path in (ROOT / "config" / folder).glob("*.toml")}
    assert len(answers) >= 800
    for part in Part:
        assert relations <= {record["relation"] for record in records if record["part"] == part}, part
    assert len({record["model"] for record in records}) >= 3
    assert {answer.label for answer in answers} >= {Said.RIGHT, Said.FORMER, Said.NEITHER}
    parts = {part: {r["fact"] for r in records if r["part"] == part} for part in Part}
    assert not parts[Part.RULES] & parts[Part.HELD_OUT], "a fact is either for the rules or held out"


@pytest.mark.slow
@pytest.mark.parametrize(("part", "bound"), [(Part.RULES, 0.985), (Part.HELD_OUT, 0.94)])
def test_the_judge_agrees_with_the_labels(part: Part, bound: float) -> None:
    measured = scores(answer for answer in read_labelled(ANSWERS) if answer.part is part)
    for kind, score in measured.items():
        assert score.precision >= bound, f"{kind}: {score}"
        assert score.recall >= bound, f"{kind}: {score}"


def test_at_most_one_verdict_of_the_demonstration_is_wrong() -> None:
    demo = [answer for answer in read_labelled(ANSWERS) if answer.origin is Origin.DEMO]
    assert len(demo) >= 350
    assert len(mistakes(demo)) <= 1
