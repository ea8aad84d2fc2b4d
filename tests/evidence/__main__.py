"""Measurements for this project's own evidence: ``python -m tests.evidence bench pull``."""

from __future__ import annotations

from kbsync.cli.command import Verb, told_first
from kbsync.cli.main import build
from tests.evidence.cli import ledger, pull
from tests.evidence.cli_speed import speed

SUMMARY = "Measurements of kbsync itself: each writes its figures as one JSON file."
VERBS: tuple[Verb, ...] = tuple(map(told_first, (pull, ledger, speed)))

if __name__ == "__main__":
    build(VERBS, SUMMARY)(prog_name="python -m tests.evidence")
