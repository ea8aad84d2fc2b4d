"""The manifest as a file: canonical JSON in which every byte is checked."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.version import Manifest

FORMAT = 2
"""2: ``artifacts`` names what went in. Format 1, which lacks it, is still read."""

_LATER = {1: ("artifacts",)}
"""By older format, the fields that it does not have."""


def encode(manifest: Manifest, factors_sha256: str, number: int = FORMAT) -> bytes:
    """The manifest in an envelope with its own checksum and that of the factors' file.

    Raises ``ValueError`` for a manifest with a non-finite number, which JSON can't say.
    """
    body = {name: value for name, value in plain(manifest).items() if name not in _LATER.get(number, ())}
    envelope = {
        "format": number,
        "version_hash": manifest.version_hash,
        "factors_sha256": factors_sha256,
        "manifest_sha256": content_hash(body),
        "manifest": body,
    }
    return canonical_json(envelope).encode() + b"\n"


def decode(data: bytes) -> tuple[Manifest, str]:
    """The manifest and the checksum of the factors' file; raises ``ValueError`` with a sentence that says what is wrong.

    The value read must encode to the same bytes again: whatever byte was changed, it shows.
    """
    try:
        envelope: Any = json.loads(data)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    number = envelope.get("format") if isinstance(envelope, dict) else None
    if number not in (FORMAT, *_LATER):
        raise ValueError(f"is not of format {FORMAT}")
    try:
        manifest = _adapter().validate_python(envelope.get("manifest"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"is not a manifest: {place or 'manifest'}: {first['msg']}") from None
    factors = envelope.get("factors_sha256")
    if not isinstance(factors, str) or encode(manifest, factors, int(number)) != data:
        raise ValueError("does not match its own checksum")
    return manifest, factors


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)
