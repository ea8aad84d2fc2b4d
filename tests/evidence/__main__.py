"""``python -m tests.evidence VERB``."""

from __future__ import annotations

from kbsync.cli.main import build
from tests.evidence.cli import PROGRAM, SUMMARY, VERBS

if __name__ == "__main__":
    build(VERBS, SUMMARY)(prog_name=PROGRAM)
