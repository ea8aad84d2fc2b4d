"""``kbsync status``."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli


@pytest.mark.slow
def test_status_counts_facts_and_verdicts(cli: Cli) -> None:
    empty = cli.good("status")
    assert "never" in empty.out and "the base" in empty.out
    cli.good("sync")
    relations = {r["name"]: r for r in cli.good("status", "--json").json["relations"]}
    assert relations["capital"]["verdicts"]["current"] == 3
    assert relations["head-of-government"]["verdicts"] == {
        "current": 0,
        "shaky": 0,
        "stale": 1,
        "unknown": 1,
        "ambiguous": 0,
    }
    assert relations["capital"]["unasked"] == relations["capital"]["waiting"] == 0
    assert "version 1, promoted, 2 facts, passed the gate" in cli.good("status").out
