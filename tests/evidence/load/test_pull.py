"""The benchmark of pulls, on a small world: it writes what it measured, and what it measured is right."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.evidence_cli import run


def test_the_figures_are_those_of_the_world_that_was_asked_for(tmp_path: Path) -> None:
    output = tmp_path / "results" / "pull.json"
    asked = ["--items", "40", "--properties", "3", "--changed", "0.1", "--unwatched", "100", "--output", str(output)]
    result = run("pull", "--edits", "3", *asked)
    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["command"] == "python -m tests.evidence pull"
    pulls = document["pulls"]
    assert {name: (pull["fetched"], pull["changed"]) for name, pull in pulls.items()} == {
        "first pull": (40, 120),
        "nothing changed": (0, 0),
        "some changed": (4, 4),
        "some changed, larger graph": (4, 4),
    }
    # server time, shape, one page of heads; where something changed, one of records, one of new objects
    assert [pull["requests"] for pull in list(pulls.values())[1:3]] == [3, 5]
    assert all(pull["peak_bytes"] > 2**20 for pull in pulls.values())
    assert "peak memory, growth with the graph" in result.stdout
    heard = document["heard"]
    assert (len(heard["prompt"]), len(heard["late"])) == (3, 1)
    assert all(seconds > 0 for seconds in heard["prompt"] + heard["late"])
    # of each edit: server time, revision, statements, perhaps a new object's name; of the late one, some times before
    assert 12 <= heard["requests"] <= 30
