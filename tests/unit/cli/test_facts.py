"""`kbsync facts export`: the ledger's facts as JSON lines, with what an edit would know of them."""

from __future__ import annotations

import json

import pytest

from tests.support.site import Site, fact


@pytest.mark.slow
def test_each_believed_fact_is_one_line_with_its_provenance(site: Site) -> None:
    site.release(fact(1, "Paris"), fact(2, "Oslo", revision=207))
    with site.app() as app, app.writer() as writer:
        from datetime import UTC, datetime

        from tests.support.site import seen

        with writer.run.ledger.write() as tx:
            seen(tx, [fact(3, "Rome")], datetime.now(UTC))
    lines = [json.loads(line) for line in site.good("facts", "export").out.splitlines()]
    assert [line["subject"] for line in lines] == ["Q1", "Q2", "Q3"]
    assert [line["edited"] for line in lines] == [True, True, False]
    second = lines[1]
    assert second["label"] == "Land 2" and second["relation"] == "capital" and second["property"] == "P36"
    assert second["values"] == [{"value": "Oslo", "label": "Oslo", "aliases": []}]
    assert (second["revision"], second["statements"]) == (207, ["Q2$1"])
    assert second["revision_url"].endswith("title=Q2&oldid=207")
    assert second["sentences"] == ["The capital of Land 2 is Oslo."]
    assert [line["subject"] for line in site.good("facts", "export", "--edited", "--json").json] == ["Q1", "Q2"]
    assert site("facts", "export", "--relation", "nothing").code == 66


def test_an_empty_ledger_gives_no_line(site: Site) -> None:
    assert site.good("facts", "export").out == ""
    assert site.good("facts", "export", "--json").json == []
