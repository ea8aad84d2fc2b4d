"""``kbsync verify`` finds every change of a byte, and names the file."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from kbsync.operations.verify import verify
from tests.support.site import Site, fact

CHANGES = 220


def stored_files(site: Site) -> list[Path]:
    return sorted(p for d in ("versions", "artifacts") for p in (site.state / d).rglob("*") if p.is_file())


@pytest.mark.slow
def test_everything_is_whole(built: Site) -> None:
    told = built.good("verify", "--json").json
    assert told["problems"] == []
    assert (told["versions"], told["artifacts"], told["missing"], told["explanations"]) == (1, 6, 0, 0)
    assert told["bytes"] == sum(p.stat().st_size for p in stored_files(built))
    assert built.good("verify", "1", "--json").json == told
    assert "whole: 1 version, 6 artifacts" in built.good("verify").out
    assert built("verify", "2").code == 66


@pytest.mark.slow
def test_every_random_change_of_a_byte_is_detected_and_named(built: Site) -> None:
    """Change, insert, remove or cut at a random place of a random file; verify names just that file, and no other."""
    draw, files = random.Random(20260101), stored_files(built)
    hit: dict[str, int] = {}
    with built.app() as app:
        for i in range(CHANGES):
            path = files[i % len(files)]
            whole = path.read_bytes()
            at = draw.randrange(len(whole))
            bit = bytes([whole[at] ^ 1 << draw.randrange(8)])
            kinds = (
                whole[:at] + bit + whole[at + 1 :],
                whole[:at] + bytes([draw.randrange(256)]) + whole[at:],
                whole[:at] + whole[at + 1 :],
                whole[:at],
            )
            path.write_bytes(kinds[0] if draw.random() < 0.7 else draw.choice(kinds[1:]))
            assert path.read_bytes() != whole
            problems = verify(app).problems
            assert [p.where for p in problems] == [str(path)], (path, at)
            assert str(path) in problems[0].what
            path.write_bytes(whole)
            hit[path.name] = hit.get(path.name, 0) + 1
        assert verify(app).problems == ()
    assert len(hit) == len(files) and min(hit.values()) >= CHANGES // len(files)


def test_a_changed_checksum_of_the_factors_is_the_manifests_damage(built: Site) -> None:
    """No other checksum covers it, so the factors themselves say which of the two files was changed."""
    manifest = built.directory(1) / "manifest.json"
    whole = manifest.read_bytes()
    at = whole.index(b'"factors_sha256":"') + len(b'"factors_sha256":"')
    other = b"0" if whole[at : at + 1] != b"0" else b"1"
    for changed in (whole[:at] + other + whole[at + 1 :], whole[:at] + whole[at + 1 :]):
        manifest.write_bytes(changed)
        assert [p["where"] for p in built("verify", "--json").json["problems"]] == [str(manifest)]


@pytest.mark.slow
def test_damage_ends_with_4_and_names_each_file(built: Site) -> None:
    factors = built.directory(1) / "factors.safetensors"
    target = next((built.state / "artifacts" / "targets").rglob("*/*"))
    for path in (factors, target):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    result = built("verify")
    assert result.code == 4
    assert str(factors) in result.out and str(target) in result.out and "damaged: 2 problems" in result.out
    told = built("verify", "1", "--json")
    assert told.code == 4 and {p["where"] for p in told.json["problems"]} == {str(factors), str(target)}
    assert target.exists(), "verify changes nothing"
    built.good("rebuild", "1", "--repair", "--anew")
    assert built.good("verify", "--json").json["missing"] == 0


def test_a_file_that_is_gone(built: Site) -> None:
    manifest = built.directory(1) / "manifest.json"
    whole = manifest.read_bytes()
    manifest.unlink()
    assert [p["where"] for p in built("verify", "--json").json["problems"]] == [str(manifest)]
    manifest.write_bytes(whole)
    moved = built.directory(1).rename(built.state / "elsewhere")
    (problem,) = built("verify", "--json").json["problems"]
    assert "Version 1 is in the ledger, and its files are gone" in problem["what"]
    assert moved.exists()


def test_a_lost_artifact_is_no_damage_and_a_foreign_one_is(built: Site) -> None:
    first, second = sorted((built.state / "artifacts" / "targets").rglob("*/*"))
    first.write_bytes(second.read_bytes())
    (problem,) = built("verify", "--json").json["problems"]
    assert problem["where"] == str(first) and "holds other content than version" in problem["what"]
    first.unlink()
    told = built.good("verify", "--json").json
    assert (told["missing"], told["artifacts"]) == (1, 5)
    assert "1 artifact not stored any more" in built.good("verify").out


def test_a_rewritten_audit_trail_does_not_fit_the_anchor(built: Site) -> None:
    """Whoever replaces the whole trail by another sound one is betrayed by the manifests."""
    ledger = built.state / "ledger.sqlite3"
    with sqlite3.connect(ledger) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit_events SET actor = 'nobody' WHERE seq = 1")
    changed = built("verify", "--json")
    assert changed.code == 4
    assert {p["where"] for p in changed.json["problems"]} == {"audit trail", "ledger"}
    assert "event 1 was changed" in changed.json["problems"][0]["what"]
    with sqlite3.connect(ledger) as raw:
        raw.execute("DELETE FROM audit_events")
    cut, anchored = [p for p in built("verify", "--json").json["problems"] if p["where"] == "audit trail"]
    assert "are gone" in cut["what"] and "anchored to event" in anchored["what"]


@pytest.mark.slow
def test_orphans_of_the_ledger_are_verified_too(built: Site) -> None:
    built.build(fact(1, "Paris"))
    with built.app() as app:
        manifest = app.store.manifest(built.version_hash(2))
        app.store.remove(manifest.version_hash)
    assert built.good("verify", "--json").json["explanations"] == 1
    path = built.state / "removed" / f"{manifest.version_hash}.json"
    path.write_bytes(path.read_bytes().replace(b"Paris", b"Palis"))
    assert [p["where"] for p in built("verify", "--json").json["problems"]] == [str(path)]
