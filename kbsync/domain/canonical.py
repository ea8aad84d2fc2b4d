"""Canonical JSON and content hashes: the same value gives the same bytes, everywhere and always."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

_LATER = "later"


def plain(value: Any) -> Any:
    """Reduce dataclasses, enums, datetimes, tuples and sets to what JSON can say.

    Raises:
        TypeError: The value, or one inside it, is of another type.
        ValueError: A datetime has no time zone.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return timestamp(value)
        case dict():
            return {str(plain(k)): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case set() | frozenset():
            return sorted(plain(v) for v in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if not _left_out(f, value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")


def later(default: Any = dataclasses.MISSING, *, factory: Any = dataclasses.MISSING) -> Any:
    """Declare a dataclass field that is added after values without it were stored.

    While it has its default, such a field is left out of the canonical form, so that what is stored keeps its bytes and
    its hash.

    Args:
        default: The field's default.
        factory: Makes the default instead, where it is mutable.
    """
    return dataclasses.field(default=default, default_factory=factory, metadata={_LATER: True})


def _left_out(field: dataclasses.Field[Any], value: Any) -> bool:
    if not field.metadata.get(_LATER):
        return False
    factory = field.default_factory
    return bool(getattr(value, field.name) == (field.default if factory is dataclasses.MISSING else factory()))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, without blanks, and with all characters as they are.

    Raises:
        TypeError: Something in the value has no canonical form.
        ValueError: A number is not finite, or a datetime has no time zone.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def timestamp(at: datetime) -> str:
    """Write a time in UTC with microseconds and a trailing Z; such texts sort in the order of time.

    Raises:
        ValueError: The datetime has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone has no canonical form")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
