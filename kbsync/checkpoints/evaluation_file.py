"""How a version was measured and judged, as a file beside its manifest: canonical JSON in which every byte is checked.

It is a file of its own because the manifest is written before anything is measured, and its version hash covers what
went into the weights; metrics and decision come later, and may be taken anew.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.version import Evaluation

FORMAT = 1


def encode(version_hash: str, evaluation: Evaluation) -> bytes:
    """Metrics, decision and policy as bytes, without the answers behind them, which the ledger has."""
    body = plain(replace(evaluation, outcomes=()))
    envelope = {"format": FORMAT, "version_hash": version_hash, "sha256": content_hash(body), "evaluation": body}
    return canonical_json(envelope).encode() + b"\n"


def decode(data: bytes, version_hash: str) -> Evaluation:
    """The evaluation of the version.

    Raises:
        ValueError: What is wrong with the bytes, as the end of a sentence that begins with the file.
    """
    try:
        envelope: Any = json.loads(data)
        evaluation = _adapter().validate_python(envelope["evaluation"])
    except (ValueError, TypeError, KeyError, ValidationError):
        raise ValueError("is not an evaluation") from None
    if encode(version_hash, evaluation) != data:
        raise ValueError("does not match its own checksum, or is another version's")
    return evaluation


@cache
def _adapter() -> TypeAdapter[Evaluation]:
    return TypeAdapter(Evaluation)
