"""``kbsync audit``."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_the_audit_trail_is_told_and_verified(cli: Cli) -> None:
    cli.good("sync")
    events = cli.good("audit", "log", "--json").json
    assert [e["kind"] for e in events] == ["pull", "probe", "plan", "edit", "evaluate", "promote"]
    assert cli.good("audit", "log", "--limit", "2", "--json").json == events[-2:]
    assert "promote" in cli.good("audit", "log").out
    assert cli.good("audit", "verify", "--json").json == {
        "events": 6,
        "head": events[-1]["hash"],
        "anchors": 1,
        "kept": 0,
    }


@pytest.mark.slow
def test_a_rewritten_trail_is_found(cli: Cli) -> None:
    cli.good("sync")
    with sqlite3.connect(cli.config.parent / "state" / "ledger.sqlite3") as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit_events SET actor = 'nobody' WHERE seq = 3")
    broken = cli("audit", "verify")
    assert broken.code == 74
    assert "event 3 was changed" in broken.err and "backup" in broken.err
    checked = cli("db", "check")
    assert checked.code == 74 and "event 3" in checked.err and "trigger" in checked.err


def spoil(cli: Cli, *statements: str) -> None:
    with sqlite3.connect(cli.config.parent / "state" / "ledger.sqlite3") as raw:
        for statement in statements:
            raw.execute(statement)


@pytest.mark.slow
def test_a_row_that_sql_changed_is_named_until_a_person_accepts_it(cli: Cli) -> None:
    cli.good("sync")
    spoil(cli, "UPDATE labels SET label = 'Kermit the Frog' WHERE item = 'Q183'")
    for examine in (["audit", "verify"], ["db", "check"]):
        found = cli(*examine)
        assert found.code == 74, examine
        assert "labels: row Q183 was changed by something other than kbsync" in found.out + found.err
    assert "would be accepted" in cli.good("audit", "accept", "--reason", "a joke", "--dry-run").out
    assert cli("audit", "verify").code == 74
    accepted = cli.good("audit", "accept", "--reason", "a joke", "--json").json
    assert accepted["found"] == ["labels: row Q183 was changed by something other than kbsync"]
    cli.good("audit", "verify")
    assert cli.good("audit", "log", "--json").json[-1]["body"]["reason"] == "a joke"
    assert "nothing to accept" in cli.good("audit", "accept", "--reason", "again").out


@pytest.mark.slow
def test_a_missing_anchor_is_a_finding_until_a_person_accepts_it(cli: Cli) -> None:
    cli.good("sync")
    anchor = cli.config.parent / "state" / "audit-anchor.json"
    anchor.unlink()
    assert "audit-anchor.json is missing" in cli("audit", "verify").err
    cli("probe")
    assert not anchor.exists(), "no writer makes it up again"
    cli.good("audit", "accept", "--reason", "restored")
    cli.good("audit", "verify")


@pytest.mark.slow
def test_a_copy_that_was_kept_elsewhere_shows_a_trail_that_was_rewritten(cli: Cli, tmp_path: Path) -> None:
    cli.good("sync")
    kept, anchor = tmp_path / "kept.json", tmp_path / "kept-anchor.json"
    events = cli.good("audit", "log", "--json").json
    kept.write_text(json.dumps(events))
    anchor.write_bytes((cli.config.parent / "state" / "audit-anchor.json").read_bytes())
    assert (
        "7 events kept elsewhere" in cli.good("audit", "verify", "--against", str(kept), "--against", str(anchor)).out
    )
    for changed in (events[2] | {"hash": "0" * 64}, events[-1] | {"seq": 99}):
        kept.write_text("\n".join(map(json.dumps, [*events[:2], changed])))
        found = cli("audit", "verify", "--against", str(kept))
        assert found.code == 74 and f"event {changed['seq']}" in found.err
    kept.write_text("{}")
    assert cli("audit", "verify", "--against", str(kept)).code == 65
    assert cli("audit", "verify", "--against", str(tmp_path / "nothing")).code == 66
