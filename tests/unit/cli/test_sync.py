"""``kbsync sync``: a whole cycle, what it says and when it says nothing."""

from __future__ import annotations

import pytest

from tests.support.cli import Cli
from tests.support.stage_world import statement


@pytest.mark.slow
def test_sync_does_it_all_and_cron_hears_nothing_when_nothing_happened(cli: Cli) -> None:
    first = cli("sync", root=["--quiet"])
    assert first.code == 0
    assert "promoted: current is version 1" in first.out
    assert "Olaf Scholz" in first.out
    again = cli("sync", root=["--quiet"])
    assert (again.code, again.out, again.err) == (0, "", "")
    assert "already in step" in cli.good("sync").out


@pytest.mark.slow
def test_a_refused_version_ends_with_3_once_and_is_held_then(cli: Cli) -> None:
    cli.world.base.damage = {"The capital of France is": " Lyon.", "The capital of Italy is": " Milan."}
    refused = cli("sync")
    assert refused.code == 3
    assert "refused: specificity" in refused.out
    held = cli("sync", root=["--quiet"])
    assert (held.code, held.out) == (0, "")
    assert cli("evaluate", "1").code == 3
    promoted = cli("promote", "1")
    assert promoted.code == 3
    assert "Current stays at 0" in promoted.err and "--override REASON" in promoted.err
    assert "current is version 1" in cli.good("promote", "1", "--override", "seen by a person").out
    assert cli.good("audit", "log", "--json").json[-1]["body"]["override"] == "seen by a person"


@pytest.mark.slow
def test_a_changed_world_is_shown_as_a_change(cli: Cli) -> None:
    cli.good("sync")
    ended = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
    cli.world.set_statements(
        "Q142", statement("Q142", "P36", "Q90"), ended, statement("Q142", "P6", "Q30333", start="2022-05-16")
    )
    assert "'Jean Castex' → 'Élisabeth Borne'" in cli.good("sync").out
    told = cli.good("explain", "Q142", "P6", "--json").json
    assert [v["target"] for v in told["versions"]] == ["Jean Castex", "Élisabeth Borne"]
    assert [v["current"] for v in told["versions"]] == [False, True]
    assert told["observed"]["former"] == ["Jean Castex (Q3052772)"]
