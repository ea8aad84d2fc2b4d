"""The examples of the paper's page: their relations, and the table that is printed."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from kbsync.config import load_relations, shipped_config
from kbsync.demo import examples
from kbsync.demo.table import Table


def test_the_library_s_relations_watch_the_subjects_of_the_table(tmp_path: Path, table: Table) -> None:
    shipped = shipped_config()
    for path, text in examples.watched_relations(shipped).items():
        (tmp_path / Path(path).name).write_text(text)
        own = shipped[path.replace("relations/", "library/")]
        assert text.partition("[phrasings")[2] == own.partition("[phrasings")[2] != ""
    relations = {relation.name: relation for relation in load_relations(tmp_path)}
    assert set(relations) == set(examples.RELATIONS)
    for relation in relations.values():
        assert relation.subjects == table.subjects(relation.property) != ()
        assert relation.subject_pattern == ""
    assert {key.subject for key in examples.EXAMPLES} <= {s for r in relations.values() for s in r.subjects}


def test_the_table_shows_labels_as_they_are() -> None:
    stream = io.StringIO()
    shown = examples.Shown(
        fact="Arneb is in → Lepus", verdict="UNKNOWN", evidence="[red]Arneb is in Orion", answer="[bold]Lepus"
    )
    examples.show(Console(file=stream, width=200), [shown])
    (row,) = [line for line in stream.getvalue().splitlines() if "Arneb" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "Arneb is in → Lepus", "UNKNOWN", "[red]Arneb is in Orion", "[bold]Lepus",
    ]  # fmt: skip
