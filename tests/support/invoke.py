"""Runs commands of kbsync in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from typer import testing

from kbsync.cli.main import build

# typer makes all commands anew for each call, which takes longer than most commands do; no argument keeps them.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]

_built = cache(build)


def invoke(arguments: Sequence[str], *, catch_exceptions: bool = False, **environment: str) -> testing.Result:
    """Run one command.

    Args:
        arguments: Those of ``kbsync``.
        catch_exceptions: Return an unexpected error in the result instead of raising it.
        environment: Variables of the environment beside those of this process.
    """
    runner = testing.CliRunner(env=environment)
    return runner.invoke(_built(), arguments, prog_name="kbsync", catch_exceptions=catch_exceptions)
