"""Output streams that can't say every letter."""

from __future__ import annotations

from typing import Any


def make_lossless(*streams: Any) -> None:
    r"""Let streams write a letter that their encoding has not as an escape (``\u6771``) instead of failing.

    Cron jobs and log collectors often run with an encoding such as ISO-8859-1, and a file name may hold bytes that are
    no text in any encoding.

    Args:
        streams: Text streams; one that can't be changed is left as it is.
    """
    for stream in streams:
        change = getattr(stream, "reconfigure", None)
        if change is not None and getattr(stream, "errors", "strict") in ("strict", "surrogateescape"):
            change(errors="backslashreplace")
