"""The manifest as a file: canonical JSON in which every byte is checked."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kbsync.domain.canonical import canonical_json, content_hash, plain
from kbsync.domain.version import Manifest

FORMAT = 2
"""Format 2 has ``artifacts``, the names of what went in. Format 1, which lacks it, is still read."""

_MISSING = {1: ("artifacts",)}
"""By older format, the fields that it lacks."""


def encode(manifest: Manifest, factors_sha256: str, format_number: int = FORMAT) -> bytes:
    """The manifest in an envelope with its own checksum and that of the factors' file.

    Raises:
        ValueError: The manifest holds a number that is not finite, which JSON can't say.
    """
    body = {name: value for name, value in plain(manifest).items() if name not in _MISSING.get(format_number, ())}
    envelope = {
        "format": format_number,
        "version_hash": manifest.version_hash,
        "factors_sha256": factors_sha256,
        "manifest_sha256": content_hash(body),
        "manifest": body,
    }
    return canonical_json(envelope).encode() + b"\n"


def decode(data: bytes) -> tuple[Manifest, str]:
    """The manifest and the checksum of the factors' file.

    What was read must encode to the same bytes again, so that a change of any byte shows.

    Raises:
        ValueError: What is wrong with the bytes, as the end of a sentence that begins with the file.
    """
    try:
        envelope: Any = json.loads(data)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    format_number = envelope.get("format") if isinstance(envelope, dict) else None
    if format_number not in (FORMAT, *_MISSING):
        raise ValueError(f"is not of format {FORMAT}")
    try:
        manifest = _adapter().validate_python(envelope.get("manifest"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"is not a manifest: {field or 'manifest'}: {first['msg']}") from None
    factors_sha256 = envelope.get("factors_sha256")
    if not isinstance(factors_sha256, str) or encode(manifest, factors_sha256, int(format_number)) != data:
        raise ValueError("does not match its own checksum")
    return manifest, factors_sha256


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)
