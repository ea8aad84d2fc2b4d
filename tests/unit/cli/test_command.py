"""What all commands share: help worth reading, errors that become exit codes, and a reference that says what they
say."""

from __future__ import annotations

import pytest

from docs.generate.cli_reference import reference
from kbsync.cli.command import EXIT_CODES, Verb
from kbsync.cli.main import VERBS
from kbsync.domain.errors import SourceDown, SourceError
from tests.support.cli import Cli
from tests.support.invoke import invoke
from tests.support.paths import ROOT


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_has_an_example_and_the_exit_codes(verb: Verb) -> None:
    result = invoke([*verb.name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout and "Exit codes" in result.stdout
    assert all(f"{code:>2}  {EXIT_CODES[code]}" in result.stdout for code in verb.exits)
    assert all("kbsync" in example and verb.name.split()[-1] in example for example in verb.examples)


@pytest.mark.slow
def test_the_reference_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m docs.generate.cli_reference > docs/reference/cli.md"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceDown("It is down.", next_step="Later."), 69),
        (SourceError("It is wrong.", next_step="Look."), 76),
        (RuntimeError("boom"), 1),
        (PermissionError(13, "Permission denied", "/somewhere"), 74),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(cli: Cli, error: Exception, code: int) -> None:
    cli.world.source.fail_next(error)
    result = cli("pull")
    assert result.code == code
    assert result.out == "" and "Traceback" not in result.err
    assert str(getattr(error, "what", error.args[-1])) in result.err
    assert cli("pull").code == 0, "the lease was released"


def test_an_argument_that_is_no_text_is_refused_as_such(cli: Cli) -> None:
    result = cli("fact", "approve", "Q142", "P6", "--reason", "caf\udce9")
    assert result.code == 65
    assert "holds half a character (U+DCE9)" in result.err and "UTF-8" in result.err
