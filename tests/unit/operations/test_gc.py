"""gc over real stores: what goes, what stays, and that the rest still works."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.checkpoints.recording_store import with_derived
from kbsync.domain.version import VersionState
from kbsync.stages.session import writer
from tests.support.site import MakeSite, Site, fact

POLICY = """
[retention]
keep_last = 1
keep_newer = "0s"
rollback_window = 1
spare = "1h"
"""
FIRST, SECOND, THIRD = fact(1, "Paris"), fact(2, "Oslo"), fact(3, "Rome")


@pytest.fixture(scope="session")
def _four_versions(new_site: MakeSite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = new_site(tmp_path_factory.mktemp("four") / "site", more=POLICY)
    for facts in ([FIRST], [SECOND], [SECOND, THIRD]):
        made.release(*facts)
    made.build(THIRD)
    return made.config.parent


@pytest.fixture
def four(_four_versions: Path, tmp_path: Path) -> Site:
    """Versions 1 to 3 were released in turn, 3 is current, and 4 is a candidate. All of it is old."""
    site = Site(shutil.copytree(_four_versions, tmp_path / "site", symlinks=True) / "kbsync.toml")
    age(site, 7200)
    return site


def age(site: Site, seconds: float) -> None:
    at = time.time() - seconds
    for path in (site.state / "artifacts").rglob("*"):
        os.utime(path, (at, at))


def removed(site: Site, *arguments: str) -> dict[str, list[str]]:
    told = site.good("gc", "--json", *arguments).json
    found: dict[str, list[str]] = {}
    for thing in told["things"]:
        assert thing["reasons"], thing
        if not thing["keep"]:
            found.setdefault(thing["kind"], []).append(thing["name"])
    assert told["removed"] == sum(map(len, found.values()))
    return found


@pytest.mark.slow
def test_what_nothing_needs_goes_and_the_rest_stays(four: Site) -> None:
    first = four.manifest(1)
    (target,) = [name for name in first.artifacts if name.startswith("targets/")]
    planned = removed(four, "--dry-run")
    assert planned == {"version": ["1"], "artifact": [target]}
    assert four.directory(1).is_dir(), "a dry run removes nothing"
    assert removed(four) == planned
    assert not four.directory(1).exists()
    with four.app() as app:
        assert target not in app.artifacts.names()
        needed = {name for n in (2, 3, 4) for name in with_derived(four.manifest(n).artifacts)}
        assert any(name.startswith("factor/") for name in needed)
        assert set(app.artifacts.names()) == needed
    assert four.good("gc").out == "nothing to remove\n"
    told = four.good("verify", "--json").json
    assert (told["versions"], told["explanations"], told["missing"]) == (3, 1, 1)
    for number in ("2", "3", "4"):
        assert four.good("rebuild", number, "--json").json["reproduced"] is True


def test_the_decision_is_in_the_audit_trail(four: Site) -> None:
    removed(four)
    event = four.good("audit", "log", "--json").json[-1]
    assert event["kind"] == "gc"
    assert list(event["body"]["versions"]) == ["1"] and "no alias" in event["body"]["versions"]["1"][0]
    assert len(event["body"]["artifacts"]) == 1 and event["body"]["bytes"] > 0
    four.good("audit", "verify")
    four.good("gc")
    assert four.good("audit", "log", "--json").json[-1] == event, "nothing removed, nothing said"


@pytest.mark.slow
def test_a_removed_version_is_explained_refused_and_built_again(four: Site) -> None:
    whole = {p.name: p.read_bytes() for p in four.directory(1).iterdir()}
    four.good("gc")
    refused = four("rollback", "--to", "1")
    assert refused.code == 66 and "`kbsync rebuild 1 --repair`" in refused.err and "Current stays at 3" in refused.err
    (change, *_) = four.good("diff", "1", "2", "--json").json["changes"]
    assert (change["subject"], change["change"]) == ("Q1", "retract")
    assert [f["answer"] for f in four.good("blame", "1", "--json").json] == ["Paris"]
    assert "removed by gc" in four("ask", "x", "--version", "1").err
    assert four.good("rebuild", "1", "--json").json["reproduced"] is True
    four.good("rebuild", "1", "--repair")
    assert {p.name: p.read_bytes() for p in four.directory(1).iterdir()} == whole
    assert "current is version 1" in four.good("rollback", "--to", "1").out


@pytest.mark.slow
def test_an_edit_builds_a_removed_version_again(four: Site) -> None:
    """The facts are again what they once were."""
    four.good("gc")
    assert four.build(FIRST) == 1
    assert four.directory(1).is_dir()
    with four.app() as app, app.ledger.read() as tx:
        version = tx.version(1)
        assert version is not None and version.state is VersionState.PROMOTED
    four.good("promote", "1")


def test_a_young_artifact_stays_for_a_while(four: Site) -> None:
    age(four, 60)
    assert removed(four, "--dry-run") == {"version": ["1"]}


def test_leftovers_and_strays_go(four: Site) -> None:
    left = four.state / "versions" / ".unfinished-x"
    left.mkdir()
    (left / "half").write_bytes(b"123")
    aside = four.state / "artifacts" / "targets" / "ab" / ".damaged-ab"
    aside.parent.mkdir(exist_ok=True)
    aside.write_bytes(b"rot")
    stray = shutil.copytree(four.directory(2), four.state / "versions" / ("0" * 64))
    assert "stray" not in removed(four, "--dry-run")
    os.utime(stray, (1, 1))
    assert removed(four, "--dry-run")["stray"] == [stray.name]
    found = removed(four)
    assert found["leftover"] == [str(left)] and found["stray"] == [stray.name]
    assert not left.exists() and not stray.exists() and aside.exists()
    os.utime(aside, (1, 1))
    assert removed(four) == {"leftover": [str(aside)]}
    assert not aside.exists()


def test_another_ledger_is_refused(four: Site) -> None:
    """To a new, empty ledger all that is stored would be strays."""
    (ledger,) = four.state.glob("ledger.*3")
    for file in four.state.glob(f"{ledger.name}*"):
        file.rename(file.with_name(f"away-{file.name}"))
    four.good("db", "upgrade")
    refused = four("gc")
    assert refused.code == 74
    assert "may not be the ledger that wrote" in refused.err and "Nothing was removed" in refused.err
    assert len(list((four.state / "versions").glob("?" * 64))) == 4


def test_a_version_that_was_stored_and_not_yet_recorded_stays(four: Site) -> None:
    """A kill between the store and the ledger: the row says building, the next edit finds the weights."""
    with four.app() as app:
        manifest, delta = app.store.read(four.version_hash(4))
        planned = replace(manifest, targets={**manifest.targets, "x": "y"})
        with app.ledger.write() as tx:
            plan_hash = tx.version(4).plan_hash  # type: ignore[union-attr]
            plan = tx.plan(plan_hash)
            assert plan is not None
            other = replace(plan, recipe_fingerprint="another recipe")
            number = tx.add_version(
                tx.record_plan(other, manifest.created_at).plan_hash, other, manifest.created_at
            ).number
        stored = app.store.write(replace(planned, build_hash=other.build_hash), delta)
    told = four.good("gc", "--json").json
    (stray,) = [t for t in told["things"] if t["kind"] == "stray"]
    assert stray["keep"] is True and stray["reasons"] == [f"version {number} is being built"]
    assert (four.state / "versions" / stored).is_dir()


def test_damage_keeps_what_can_not_be_judged(four: Site) -> None:
    for number in (1, 2):
        (four.directory(number) / "manifest.json").write_bytes(b"{}")
    told = four.good("gc", "--json").json
    assert told["removed"] == 0
    reasons = {(t["kind"], t["name"]): t["reasons"] for t in told["things"]}
    assert "its manifest is damaged" in reasons["version", "1"][0]
    assert all("version" in why[0] for (kind, _), why in reasons.items() if kind == "artifact")


def test_a_writer_at_work_is_waited_for_and_a_dry_run_is_not(four: Site) -> None:
    with four.app() as app, writer(app.run, app.settings.lease.ttl):
        assert four("gc").code == 75
        assert four("gc", "--dry-run").code == 0
    assert four.directory(1).is_dir()


@pytest.mark.slow
def test_a_killed_gc_is_finished_by_the_next(four: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.fork()
    if not child:
        monkeypatch.setattr("kbsync.checkpoints.artifacts.FileArtifactStore.remove", lambda *a: os._exit(9))
        try:
            four("gc")
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not four.directory(1).exists()
    assert list(removed(four)) == ["artifact"]
    four.good("verify")
    assert [e["kind"] for e in four.good("audit", "log", "--json").json].count("gc") == 2


def test_what_a_killed_write_of_the_anchor_left_goes_with_the_next_writer(four: Site) -> None:
    left = four.state / ".unfinished-audit-anchor.json-abcd"
    left.write_bytes(b"{")
    other = four.state / ".unfinished-something-else"
    other.write_bytes(b"")
    with four.app() as app, app.writer():
        assert not left.exists() and other.exists()
    assert (four.state / "audit-anchor.json").is_file()
