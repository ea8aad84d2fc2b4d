"""``python -m tests.evidence`` in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from kbsync.cli.main import build
from tests.evidence.cli import PROGRAM, SUMMARY, VERBS


def run(*arguments: str, code: int = 0) -> Result:
    """Call the command line; fails unless it ends with the exit code ``code``."""
    result = CliRunner().invoke(build(VERBS, SUMMARY), list(arguments), prog_name=PROGRAM)
    assert result.exit_code == code, result.output
    return result
