"""The table of many facts and the reading of a report's figures; the run itself takes a real model and is in
docs/results."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kbsync.config import load_relations, shipped_config
from kbsync.domain.errors import NotFound
from tests.evidence.large import RELATIONS, read_page, read_table, watch, watched

LINES = [
    ("Q1", "P36", "Q2", "Aland", "Abury", "codex"),
    ("Q3", "P36", "Q4", "Bland", "Bbury", "codex,mtrexf"),
    ("Q3", "P36", "Q5", "Bland", "Cbury", "codex"),
    ("Q6", "P36", "Q7", "He", "Dbury", "mtrexf"),
    ("Q8", "P36", "Q9", "E" * 50, "Ebury", "codex"),
    ("Q10", "P36", "Q11", "Fland", "Fbury", "mtrex"),
    ("Q1", "P99", "Q2", "Aland", "Abury", "codex"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "facts").mkdir()
    with gzip.open(tmp_path / "facts" / "facts_merged.tsv.gz", "wt", encoding="utf-8") as stream:
        stream.writelines("\t".join(line) + "\n" for line in LINES)
    return tmp_path


def test_subjects_with_one_value_and_names_that_are_labels_are_drawn(data: Path) -> None:
    table = read_table(data, {"P36": "capital"}, 10)
    assert {(table.label(r.subject), table.label(r.object)) for r in table.statements} == {
        ("Aland", "Abury"),
        ("Fland", "Fbury"),
    }
    assert len(read_table(data, {"P36": "capital"}, 1).statements) == 1
    assert read_table(data, {"P36": "capital"}, 1).statements[0] in table.statements
    with pytest.raises(NotFound, match="is missing"):
        read_table(data / "nowhere", {"P36": "capital"}, 1)


def test_the_shipped_relations_watch_the_drawn_subjects(data: Path, tmp_path: Path) -> None:
    for name, text in shipped_config().items():
        if name.startswith("relations/"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    properties = watched(tmp_path / "relations")
    assert len(properties) == len(RELATIONS) and properties["P36"] == "capital"
    watch(tmp_path / "relations", read_table(data, {"P36": "capital"}, 10))
    kept = {r.name: r.subjects for r in load_relations(tmp_path / "relations")}
    assert {name: set(found) for name, found in kept.items()} == {"capital": {"Q1", "Q10"}}, (
        "a relation without subjects is not watched"
    )


def test_a_report_s_figures_are_read_from_its_page() -> None:
    page = (
        '<table id="facts"><tr><td>no</td></tr></table><table '
        'id="figures"><thead><tr><th>figure</th></tr></thead><tbody>'
        '<tr><td>efficacy</td><td class="number">0</td><td class="number">–</td><td '
        'class="number">0.95</td></tr></tbody></table>'
    )
    assert read_page(page) == {"efficacy": "0.95"}
