"""Messages to a person who watches a program of the evidence."""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def say(line: str) -> None:
    """Write ``line`` to stderr, with the time of day in UTC."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stderr.flush()
