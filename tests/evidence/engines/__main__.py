"""``python -m tests.evidence.engines``: the same as ``python -m tests.evidence engines``."""

from __future__ import annotations

import sys

from kbsync.cli.main import build
from tests.evidence.cli import PROGRAM, SUMMARY, VERBS

if __name__ == "__main__":
    build(VERBS, SUMMARY)(["engines", *sys.argv[1:]], prog_name=PROGRAM)
