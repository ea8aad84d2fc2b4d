"""Errors that a user may see: what happened, what was kept, what to do next, and a documented exit code."""

from __future__ import annotations

import inspect

import pytest

from kbsync.cli.command import EXIT_CODES
from kbsync.domain import errors
from kbsync.domain.errors import BadIdentifier, ConfigError, KbsyncError, SourceDown, SourceError

ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, KbsyncError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_the_exit_code_of_every_error_is_documented(kind: type[KbsyncError]) -> None:
    assert kind.exit_code in EXIT_CODES
    assert kind.__doc__


def test_an_error_says_what_happened_what_was_kept_and_what_to_do() -> None:
    assert str(KbsyncError("It rained.")) == "It rained. Nothing was changed."
    error = SourceDown("No answer.", kept="Two pages are kept.", next_step="Pull again.")
    assert str(error) == "No answer. Two pages are kept. Pull again."
    assert isinstance(error, SourceError) and error.transient and not SourceError.transient


def test_every_mistake_of_a_configuration_is_listed() -> None:
    one, two = ConfigError(["[a] b is missing"]), ConfigError(("[a] b is missing", "[c] is unknown"))
    assert "one mistake" in one.what and "2 mistakes" in two.what
    assert two.problems == ("[a] b is missing", "[c] is unknown")
    assert [line for line in str(two).splitlines() if line.startswith("  - ")] == [
        "  - [a] b is missing",
        "  - [c] is unknown",
    ]


def test_a_wrong_identifier_is_a_wrong_value() -> None:
    with pytest.raises(ValueError, match="Q0"):
        raise BadIdentifier("Q0 is no item.")
