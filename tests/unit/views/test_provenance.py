"""diff and blame, over the small world."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stage_world import BORNE, statement


def two_versions(cli: Any) -> None:
    """France's head of government changes, Germany's statement is withdrawn."""
    cli.good("sync")
    ended = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
    cli.world.set_statements("Q142", statement("Q142", "P36", "Q90"), ended, BORNE)
    cli.world.set_statements("Q183", statement("Q183", "P36", "Q64"))
    cli.good("sync")


@pytest.mark.slow
def test_diff_shows_what_was_added_changed_and_retracted(cli: Any) -> None:
    two_versions(cli)
    told = cli.good("diff", "1", "2", "--json").json
    assert [(e["subject"], e["change"], e["previous"], e["answer"]) for e in told["changes"]] == [
        ("Q142", "change", "Jean Castex", "Élisabeth Borne"),
        ("Q183", "retract", "Olaf Scholz", None),
    ]
    assert (told["same_base"], told["same_recipe"], told["kept"]) == (True, True, 0)
    back = cli.good("diff", "2", "1", "--json").json
    assert [e["change"] for e in back["changes"]] == ["change", "add"]
    base = cli.good("diff", "0", "2", "--json").json
    assert [e["change"] for e in base["changes"]] == ["add"] and base["same_base"] is None
    shown = cli.good("diff", "1", "2").out
    assert "France (Q142 P6)" in shown and "Élisabeth Borne" in shown and "2 facts differ, 0 held by both" in shown
    same = cli.good("diff", "2", "2", "--json").json
    assert same["changes"] == [] and same["kept"] == 1
    assert cli("diff", "1", "9").code == 66


@pytest.mark.slow
def test_blame_goes_back_to_the_revision(cli: Any) -> None:
    cli.good("sync")
    facts = {f["subject"]: f for f in cli.good("blame", "1", "--json").json}
    assert set(facts) == {"Q142", "Q183"}
    told = cli.good("explain", "Q183", "P6", "--json").json
    germany = facts["Q183"]
    assert germany["answer"] == "Olaf Scholz" and germany["statements"] == ["Q183$P6-Q61053"]
    assert germany["revision"] == told["believed"]["revision"]
    assert f"oldid={germany['revision']}" in germany["revision_url"]
    (seen,) = [c for c in told["history"] if c["statement_id"] == "Q183$P6-Q61053"]
    assert (germany["seen_at"], germany["believed_at"]) == (seen["seen_at"], told["believed_at"])
    assert (germany["verdict"], germany["base_said"]) == ("stale", " Angela Merkel.")
    shown = cli.good("blame", "1").out
    assert "Olaf Scholz" in shown and "stale" in shown
    assert cli("blame", "2").code == 66


@pytest.mark.slow
def test_blame_names_the_version_that_took_a_fact_in(cli: Any) -> None:
    cli.good("sync")
    ended = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
    cli.world.set_statements("Q142", statement("Q142", "P36", "Q90"), ended, BORNE)
    cli.good("sync")
    facts = {f["subject"]: f for f in cli.good("blame", "2", "--json").json}
    assert (facts["Q183"]["since"], facts["Q142"]["since"]) == (1, 2)
    plans = {v["number"]: v["plan"] for v in cli.good("versions", "--json").json["versions"]}
    assert (facts["Q183"]["plan"], facts["Q142"]["plan"]) == (plans[1], plans[2])
    old = {f["subject"]: f for f in cli.good("blame", "1", "--json").json}
    assert old["Q142"]["believed_at"] is None, "another answer is believed by now"
