"""The ``User-Agent`` header with which kbsync sends its requests."""

from __future__ import annotations

import re

import httpx2

from kbsync import __version__


def user_agent(contact: str) -> str:
    """The header as Wikimedia's policy wants it: ``kbsync/VERSION (CONTACT) LIBRARY/VERSION``.

    Args:
        contact: The setting: an e-mail address or a URL, alone or already in the form of such a header.
    """
    bare = re.sub(r"^kbsync(/\S+)?(?=[\s(])", "", contact.strip())
    parts = [part.strip(" ;") for part in re.split(r"[()]", bare)]
    comment = "; ".join(part for part in parts if part)
    return f"kbsync/{__version__} ({comment}) python-httpx2/{httpx2.__version__}"
