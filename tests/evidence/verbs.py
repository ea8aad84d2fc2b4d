"""The measurements of this project's own evidence, as one command line."""

from __future__ import annotations

from kbsync.cli.command import Verb, told_first
from tests.evidence.cli import ledger, pull
from tests.evidence.cli_speed import speed

SUMMARY = "Measurements of kbsync itself: each writes its figures as one JSON file."
VERBS: tuple[Verb, ...] = tuple(map(told_first, (pull, ledger, speed)))
