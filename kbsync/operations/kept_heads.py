"""Reads copies of the audit trail, or of its head, that were kept where the ledger's machine can't reach them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kbsync.domain.audit import ROWS
from kbsync.domain.errors import DataError, NotFound
from kbsync.notifiers.heads_file import is_signed
from kbsync.operations.chains import KnownHead


def read_kept(file: Path, secret: str = "") -> list[KnownHead]:
    """The events that a copy names.

    Args:
        file: What ``kbsync audit log --json`` printed, an ``audit-anchor.json``, the bodies that a webhook received, or
            the lines of ``release.heads_file``; one JSON document, or one a line.
        secret: What signs those lines; empty: signatures are not compared.

    Raises:
        NotFound: There is no such file.
        DataError: It holds nothing of that kind, or a line that the secret did not sign.
    """
    try:
        text = file.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", next_step="Name a copy that was kept elsewhere.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} can't be read: {error}.") from error
    try:
        documents = _documents(text)
        forged = [d for d in documents if isinstance(d, dict) and "signature" in d and not is_signed(d, secret)]
        heads = [head for document in documents for head in _heads(document)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        heads, forged = [], []
    if forged and secret:
        raise DataError(
            f"{file} holds {len(forged)} lines that release.secret did not sign.",
            next_step="Find out who wrote to it. After a change of the secret, compare with the old one.",
        )
    if not heads:
        raise DataError(
            f"{file} names no event of an audit trail.",
            next_step="Give what `kbsync audit log --json` printed, an audit-anchor.json, or lines of "
            "release.heads_file.",
        )
    return heads


def _documents(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _heads(document: Any) -> list[KnownHead]:
    if isinstance(document, list):
        return [head for entry in document for head in _heads(entry)]
    trail = document
    for inner in ("data", "trail"):  # the body of a webhook, a line of the file
        trail = trail.get(inner, trail)
    rows = trail.get("rows") or trail.get("body", {}).get(ROWS, "")
    return [KnownHead(seq=int(trail["seq"]), hash=str(trail["hash"]), rows=str(rows))]
