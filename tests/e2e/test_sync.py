"""Two cycles around a world that changes, through the command line, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

from kbsync.demo.changes import apply_changes
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Relation
from tests.support.installation import Site

UK, EGYPT = "Q145", "Q79"


def current(site: Site) -> int:
    return int(site.json("versions")["current"])


def believed(site: Site, item: str, relation: str) -> list[str]:
    """The believed values' labels, of "label (id)"."""
    return [value.split(" (")[0] for value in site.json("explain", item, relation)["believed"]["values"]]


def test_a_site_follows_the_world(site: Site, relations: tuple[Relation, ...]) -> None:
    first = site.json("sync")
    assert (first["outcome"], first["version"]) == ("promoted", 1)
    assert current(site) == 1

    assert site.json("sync")["outcome"] == "nothing to do"
    assert site.kbsync("--quiet", "sync").stdout == ""

    apply_changes(site.server, datetime.now(UTC))
    second = site.json("sync")
    assert (second["outcome"], second["version"]) == ("promoted", 2)
    assert current(site) == 2
    assert believed(site, UK, "head_of_government") == ["Keir Starmer"]
    assert believed(site, EGYPT, "capital") == ["Cairo"]

    template = next(r.prompt_template for r in relations if r.name == "head_of_government")
    answers = site.json("ask", fill(template, "United Kingdom"))["answers"]
    assert [(a["version"], a["number"]) for a in answers] == [("base", 0), ("current", 2)]
    assert "Starmer" not in answers[0]["text"]
    assert answers[1]["text"].strip().startswith("Keir Starmer")

    site.kbsync("rollback")
    assert current(site) == 1
    assert site.json("sync")["outcome"] == "held"
    site.kbsync("promote", "2")
    assert "already" in site.kbsync("promote", "2").stdout
    site.kbsync("audit", "verify")
    site.kbsync("db", "check")


def test_a_killed_sync_is_finished_by_the_next_one(site: Site) -> None:
    command = [sys.executable, "-m", "kbsync", "--config", str(site.config), "sync"]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((site.config.parent / "state" / "artifacts").glob("targets/*/*")):
        assert process.poll() is None, "the cycle ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()

    assert site.json("sync")["outcome"] == "promoted"
    assert [v["number"] for v in site.json("versions")["versions"]] == [1]
    kinds = [event["kind"] for event in site.json("audit", "log", "--limit", "50")]
    assert kinds.count("takeover") == 1, "nobody waited for the dead one's lease to run out"
    site.kbsync("audit", "verify")
    site.kbsync("db", "check")
