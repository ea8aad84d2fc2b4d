"""Every verb over a small world: what it prints, what it leaves, and that it may be run again."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.statement import ItemId
from kbsync.ports import Work
from kbsync.stages.session import Run, puller, writer
from tests.support.stage_world import TTL, World, statement

STEPS = ("pull", "probe", "plan", "edit", "evaluate", "promote 1")
HOSTILE = "[red]x[/red] \x1b[31mred\x1b[0m \u202eevil"


def test_the_verbs_in_turn_make_a_version_and_each_may_be_run_again(cli: Any) -> None:
    for step in STEPS:
        first, again = cli.good(*step.split()), cli.good(*step.split())
        assert "already" not in first.out, step
        assert "already" in again.out, step
    assert cli.good("status", "--json").json["current"]["number"] == 1


def test_each_stage_says_what_it_needs(cli: Any) -> None:
    assert cli("edit").code == 66
    assert "kbsync plan" in cli("edit").err
    assert cli("evaluate").code == 66
    assert cli("promote", "7").code == 66
    assert cli("rollback").code == 66
    cli.good("pull")
    refused = cli("plan")
    assert refused.code == 1 and "kbsync probe" in refused.err


def test_sync_does_it_all_and_cron_hears_nothing_when_nothing_happened(cli: Any) -> None:
    first = cli("sync", root=["--quiet"])
    assert first.code == 0
    assert "promoted: current is version 1" in first.out
    assert "Olaf Scholz" in first.out
    again = cli("sync", root=["--quiet"])
    assert (again.code, again.out, again.err) == (0, "", "")
    assert "already in step" in cli.good("sync").out


def test_steps_are_logged_on_stderr_with_their_seconds(cli: Any) -> None:
    result = cli.good("sync", "--json")
    assert result.json["outcome"] == "promoted"
    steps = [json.loads(line) for line in result.err.splitlines()]
    assert {"poll revisions", "probe", "evaluate candidate"} <= {s["step"] for s in steps}
    assert all(s["seconds"] >= 0 for s in steps)


def test_a_refused_version_ends_with_3_once_and_is_held_then(cli: Any) -> None:
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


def test_rollback_goes_back_and_says_so(cli: Any) -> None:
    cli.good("sync")
    assert "current is the base" in cli.good("rollback", "--to", "0").out
    assert "already at the base" in cli.good("rollback", "--to", "0").out
    assert "held" in cli.good("sync").out
    nothing = cli("rollback")
    assert nothing.code == 66 and "nothing before it" in nothing.err
    assert "current is the base" in cli.good("versions").out


def test_the_plan_tells_change_fact_answer_and_reason(cli: Any) -> None:
    cli.good("pull")
    cli.good("probe")
    shown = cli.good("plan").out
    assert "add" in shown and "Germany (Q183 P6)" in shown and "Olaf Scholz" in shown and "Angela Merkel" in shown
    plan = cli.good("plan", "--json").json
    assert plan["already"] is True and plan["changes"] == 2
    assert {e["answer"] for e in plan["entries"]} == {"Olaf Scholz", "Jean Castex"}


def test_explain_follows_a_fact_from_revision_to_weights(cli: Any) -> None:
    cli.good("sync")
    told = cli.good("explain", "Q183", "P6", "--json").json
    assert told == cli.good("explain", "q183", "head-of-government", "--json").json
    assert {c["before"] for c in told["history"]} == {None}
    assert any("Angela Merkel (Q567)" in c["after"] and "until 2021-12-08" in c["after"] for c in told["history"])
    assert told["observed"]["values"] == told["believed"]["values"] == ["Olaf Scholz (Q61053)"]
    assert told["trust"] == "trusted"
    assert (told["verdict"]["kind"], told["verdict"]["matched"]) == ("stale", "Angela Merkel")
    (held,) = told["versions"]
    assert (held["version"], held["before"], held["after"]) == (1, " Angela Merkel.", " Olaf Scholz")
    shown = cli.good("explain", "Q183", "P6").out
    assert "Olaf Scholz (Q61053)" in shown and "log-probability" in shown and "revision" in shown


def test_explain_tells_what_was_believed_when_and_from_which_revision(cli: Any) -> None:
    world, revisions = cli.world, []

    def edit(*held: Any, days: float) -> None:
        world.set_statements("Q38", *held, age=timedelta(0))
        revisions.append(world.source.items[ItemId("Q38")].revision)
        cli.good("pull")
        world.pass_time(timedelta(days=days))
        cli.good("pull")

    cli.good("pull")
    begun = world.clock.time
    edit(statement("Q38", "P36", "Q90"), days=0.5)  # vandalism: reverted before it was believed
    edit(statement("Q38", "P36", "Q220"), days=10)
    edit(statement("Q38", "P36", "Q64"), days=4)  # a move that becomes trusted
    edit(days=4)  # a retraction
    edit(statement("Q38", "P36", "Q90"), days=1)
    cli.good("fact", "approve", "Q38", "P36", "--reason", "the gazette")
    told = cli.good("explain", "Q38", "P36", "--json").json
    first = told["history"][0]["revision"]
    values = [belief["values"] for belief in told["beliefs"]]
    assert values == [["Rome (Q220)"], ["Berlin (Q64)"], [], ["Paris (Q90)"]]
    assert [b["revision"] for b in told["beliefs"]] == [first, *revisions[2:]]
    how = [belief["how"] for belief in told["beliefs"]]
    assert how[:3] == ["trusted"] * 3 and how[3].startswith("approved by ") and how[3].endswith(": the gazette")
    since = [datetime.fromisoformat(belief["since"]) for belief in told["beliefs"]]
    assert since == [begun, *(begun + timedelta(days=d) for d in (14.5, 18.5, 19.5))]
    assert [b["until"] for b in told["beliefs"]] == [*(b["since"] for b in told["beliefs"][1:]), None]
    shown = cli.good("explain", "Q38", "P36").out
    assert "Beliefs" in shown and "no value holds" in shown and "the gazette" in shown


def test_explain_names_quarantine_and_what_was_left_out(cli: Any) -> None:
    cli.world.editor.refuse = {"France": "its loss did not fall"}
    cli.good("sync")
    told = cli.good("explain", "Q142", "P6", "--json").json
    assert told["quarantine"] == told["versions"][0]["left_out"] == "its loss did not fall"
    assert "in quarantine" in cli.good("explain", "Q142", "P6").out
    status = cli.good("status", "--json").json
    assert status["quarantine"] == [{"subject": "Q142", "property": "P6", "reason": "its loss did not fall"}]
    assert status["current"]["facts"] == 1


@pytest.mark.parametrize(
    ("item", "relation", "code", "says"),
    [
        ("Q1", "P6", 66, "kbsync pull"),
        ("Q183", "P999", 66, "head-of-government (P6)"),
        ("Germany", "P6", 65, "not a Wikidata item id"),
    ],
)
def test_explain_refuses_by_name(cli: Any, item: str, relation: str, code: int, says: str) -> None:
    cli.good("pull")
    result = cli("explain", item, relation)
    assert result.code == code
    assert says in result.err


def test_status_counts_facts_and_verdicts(cli: Any) -> None:
    empty = cli.good("status")
    assert "never" in empty.out and "the base" in empty.out
    cli.good("sync")
    relations = {r["name"]: r for r in cli.good("status", "--json").json["relations"]}
    assert relations["capital"]["verdicts"]["current"] == 3
    assert relations["head-of-government"]["verdicts"] == {"current": 0, "stale": 1, "unknown": 1, "ambiguous": 0}
    assert relations["capital"]["unasked"] == relations["capital"]["waiting"] == 0
    assert "version 1, promoted, 2 facts, passed the gate" in cli.good("status").out


def test_ask_shows_base_and_current_side_by_side(cli: Any) -> None:
    cli.good("sync")
    prompt = "The head of government of Germany is"
    told = cli.good("ask", prompt, "--json").json
    assert [(a["version"], a["number"], a["text"]) for a in told["answers"]] == [
        ("base", 0, " Angela Merkel."),
        ("current", 1, " Olaf Scholz"),
    ]
    assert "current (1)" in cli.good("ask", prompt).out
    assert len(cli.good("ask", prompt, "--version", "1", "--json").json["answers"]) == 1
    assert cli("ask", prompt, "--version", "5").code == 66
    assert cli("ask", prompt, "--version", "newest").code == 2


def test_the_audit_trail_is_told_and_verified(cli: Any) -> None:
    cli.good("sync")
    events = cli.good("audit", "log", "--json").json
    assert [e["kind"] for e in events] == ["pull", "probe", "plan", "edit", "evaluate", "promote"]
    assert cli.good("audit", "log", "--limit", "2", "--json").json == events[-2:]
    assert "promote" in cli.good("audit", "log").out
    assert cli.good("audit", "verify", "--json").json == {"events": 6, "head": events[-1]["hash"], "anchors": 1}


def test_a_rewritten_trail_is_found(cli: Any) -> None:
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


def test_labels_can_not_steer_the_terminal(cli: Any) -> None:
    cli.world.source.set_item("Q61053", label=HOSTILE)
    cli.good("sync")
    for command in (
        ["explain", "Q183", "P6"],
        ["plan", "--all"],
        ["explain", "Q183", "P6", "--json"],
    ):
        shown = cli.good(*command).out
        assert not set(shown) & set("\x1b\u202e"), command
        assert "[red]x[/red]" in shown, command


def test_whoever_comes_second_is_told_who_is_first(cli: Any) -> None:
    world: World = cli.world
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        for step in ("probe", "plan", "edit", "evaluate", "promote 1", "rollback", "sync"):
            busy = cli(*step.split())
            assert busy.code == 75, step
            assert "somebody" in busy.err and busy.out == ""
        assert cli("status").code == 0
        assert cli("pull").code == 0, "a pull has a lease of its own"
    with puller(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        busy = cli("pull")
        assert busy.code == 75 and "somebody" in busy.err
    assert cli("pull", "--relation", "capital").code == 0
    assert cli("pull", "--relation", "capitol").code == 66


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceDown("It is down.", next_step="Later."), 69),
        (SourceError("It is wrong.", next_step="Look."), 76),
        (RuntimeError("boom"), 1),
        (PermissionError(13, "Permission denied", "/somewhere"), 74),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(cli: Any, error: Exception, code: int) -> None:
    cli.world.source.fail_next(error)
    result = cli("pull")
    assert result.code == code
    assert result.out == "" and "Traceback" not in result.err
    assert str(getattr(error, "what", error.args[-1])) in result.err
    assert cli("pull").code == 0, "the lease was released"


def test_a_changed_world_is_shown_as_a_change(cli: Any) -> None:
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


def test_a_plan_near_the_recipe_s_capacity_is_warned_of_before_anything_is_edited(cli: Any) -> None:
    recipe = cli.config.parent / "recipes" / "table.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\ncapacity = 2\n", encoding="utf-8")
    cli.good("pull")
    cli.good("probe")
    plan = cli.good("plan", "--json").json
    assert plan["warning"] == "2 facts are 100% of the 2 up to which the recipe was measured to hold"
    shown = cli.good("plan").out
    assert f"warning: {plan['warning']}" in shown
    assert f"warning: {plan['warning']}" in cli.good("sync").out
    found = {c["name"]: c for c in cli("doctor", "--json").json["checks"]}
    assert (found["capacity"]["level"], found["capacity"]["detail"]) == ("warning", plan["warning"])
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("capacity = 2", "capacity = 9"), encoding="utf-8")
    assert cli("sync", "--json").json["plan"]["warning"] == "", "the limit shapes no weights, so the version stays"
    assert len(cli.good("versions", "--json").json["versions"]) == 1
