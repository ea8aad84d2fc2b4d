"""Measurements for this project's own evidence: ``python -m tests.evidence bench pull``."""

from __future__ import annotations

from kbsync.cli.main import build
from tests.evidence.verbs import SUMMARY, VERBS

if __name__ == "__main__":
    build(VERBS, SUMMARY)(prog_name="python -m tests.evidence")
