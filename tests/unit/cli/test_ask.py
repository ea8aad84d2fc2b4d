"""``kbsync ask``."""

from __future__ import annotations

from tests.support.cli import Cli


def test_ask_shows_base_and_current_side_by_side(cli: Cli) -> None:
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
