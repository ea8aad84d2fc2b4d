"""Progress on stderr."""

from __future__ import annotations

import json

from tests.support.cli import Cli


def test_steps_are_logged_on_stderr_with_their_seconds(cli: Cli) -> None:
    result = cli.good("sync", "--json")
    assert result.json["outcome"] == "promoted"
    steps = [json.loads(line) for line in result.err.splitlines()]
    assert {"poll revisions", "probe", "evaluate candidate"} <= {s["step"] for s in steps}
    assert all(s["seconds"] >= 0 for s in steps)
