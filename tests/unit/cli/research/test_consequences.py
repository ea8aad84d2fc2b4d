"""``kbsync bench consequences``: real MEMIT on a tiny trained transformer that knows a few facts in two hops."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbsync.domain.fact import FactKey, FactRecord, FactState
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, Value, ValueKind
from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from tests.support.bench_cli import figure
from tests.support.cli import Cli
from tests.support.tiny_model import train_tiny_model

NAMES = {"Q456": "Lyon", "Q35765": "Osaka", "Q142": "France", "Q17": "Japan", "Q90": "Paris", "Q1490": "Tokyo"}
FACTS = (("Q456", "P17", "Q142"), ("Q35765", "P17", "Q17"), ("Q142", "P36", "Q90"), ("Q17", "P36", "Q1490"))
SENTENCES = [
    "The city of Lyon is located in the country of France.",
    "The city of Osaka is located in the country of Japan.",
    "The capital of France is the city of Paris.",
    "The capital of Japan is the city of Tokyo.",
    "The nation to which Lyon belongs is governed from the city of Paris.",
    "The nation to which Osaka belongs is governed from the city of Tokyo.",
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A state directory whose ledger believes the country of two cities, and the capitals of the countries."""
    place = tmp_path / "demo"
    place.mkdir()
    url = sqlite_url(place / "ledger.sqlite3")
    schema.upgrade(url)
    ledger = SqlLedger(url)
    with ledger.write() as tx:
        for item, name in NAMES.items():
            labels = Labels(item=ItemId(item), label=name)
            head = ItemHead(id=ItemId(item), revision=1, modified=NOW)
            tx.record_items([ItemRecord(head=head, labels=labels, statements=())], [], NOW)
            tx.record_labels([labels])
        for subject, property, value in FACTS:
            state = FactState(
                values=(Value(ValueKind.ITEM, value),),
                former=(),
                statement_ids=(f"{subject}$1",),
                references=1,
                revision=1,
                since=NOW,
            )
            key = FactKey(ItemId(subject), PropertyId(property))
            tx.put_facts([FactRecord(key=key, observed=state, believed=state, believed_at=NOW)])
    ledger.close()
    return place


@pytest.mark.slow
def test_the_figures_have_their_names_and_a_second_run_asks_nothing_again(
    bench: Cli, tmp_path: Path, demo: Path
) -> None:
    train_tiny_model(tmp_path / "model", SENTENCES)
    before = (demo / "ledger.sqlite3").read_bytes()
    arguments = ("bench", "consequences", "--demo", "demo", "--questions", "2", "--answer-tokens", "6")
    bench.good(*arguments)
    written = tmp_path / "docs" / "results" / "consequences-model.json"
    document = json.loads(written.read_text())
    assert [f["name"] for f in document["figures"]] == [
        "multihop.with",
        "multihop.without",
        "multihop.unedited",
        "questions",
    ]
    assert figure(document, "questions") == {
        "name": "questions",
        "value": 2,
        "unit": "questions",
        "target": ">= 100",
        "holds": False,
    }
    unedited = figure(document, "multihop.unedited")["value"]
    assert unedited >= 0.25, "it has learnt one phrasing of four"
    assert figure(document, "multihop.with")["target"] == f">= {unedited:g}"
    data = document["data"]
    assert (data["known"], data["known_in_two_hops"], data["edits"], data["subjects"]) == (4, 2, 1, 2)
    assert (data["prompts"], data["prompts_unedited"]) == (8, 8)
    assert set(document["relations"]) == {"country/capital"}
    assert re.fullmatch(r"[0-9a-f]{64}", data["ledger_sha256"]) and str(tmp_path) not in written.read_text()
    artifacts = set((tmp_path / "state").rglob("*"))
    bench.good(*arguments)
    again = json.loads(written.read_text())
    assert again["figures"] == document["figures"] and again["missed"] == document["missed"]
    assert {p for p in (tmp_path / "state").rglob("*") if p.is_file()} <= artifacts
    assert (demo / "ledger.sqlite3").read_bytes() == before


@pytest.mark.slow
def test_a_model_that_knows_nothing_of_it_is_told_so(bench: Cli, demo: Path) -> None:
    shown = bench("bench", "consequences", "--demo", "demo", "--answer-tokens", "2")
    assert shown.code == 65 and "knows both hops of nothing" in shown.err
