"""``kbsync audit``."""

from __future__ import annotations

import sqlite3

from tests.support.cli import Cli


def test_the_audit_trail_is_told_and_verified(cli: Cli) -> None:
    cli.good("sync")
    events = cli.good("audit", "log", "--json").json
    assert [e["kind"] for e in events] == ["pull", "probe", "plan", "edit", "evaluate", "promote"]
    assert cli.good("audit", "log", "--limit", "2", "--json").json == events[-2:]
    assert "promote" in cli.good("audit", "log").out
    assert cli.good("audit", "verify", "--json").json == {"events": 6, "head": events[-1]["hash"], "anchors": 1}


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
