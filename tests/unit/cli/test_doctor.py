"""``kbsync doctor``: how checks are shown, and the exit code of the first that fails."""

from __future__ import annotations

from tests.support.cli import Cli


def test_each_check_has_a_level_and_what_fails_says_what_to_do(cli: Cli) -> None:
    result = cli("doctor", "--json")
    checks = {c["name"]: c for c in result.json["checks"]}
    failed = [c for c in checks.values() if c["level"] == "failed"]
    assert checks["database"]["level"] == "ok"
    assert failed and all(c["next_step"] for c in failed)
    assert result.code == 65
    assert failed[0]["next_step"].split()[0] in cli("doctor").out
