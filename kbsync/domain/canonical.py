"""Canonical JSON and content hashes: the same value gives the same bytes, everywhere and always."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

_LATER = "later"
_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def plain(value: Any) -> Any:
    """Reduce dataclasses, enums, datetimes, tuples and sets to what JSON can say.

    Raises:
        TypeError: The value, or one inside it, is of another type.
        ValueError: A datetime has no time zone.
    """
    kind: type = type(value)
    if kind in _AS_THEY_ARE:  # most values are one of these, and a plan holds millions
        return value
    if isinstance(value, list | tuple):
        return [v if type(v) in _AS_THEY_ARE else plain(v) for v in value]
    fields = _fields(kind)
    if fields is not None:
        held = (field for field, may_miss in fields if not (may_miss and _left_out(field, value)))
        return {field.name: plain(getattr(value, field.name)) for field in held}
    match value:
        case Enum():
            return value.value
        case bool() | int() | float() | str():
            return value
        case datetime():
            return timestamp(value)
        case dict():
            return {str(plain(k)): plain(v) for k, v in value.items()}
        case set() | frozenset():
            return sorted(plain(v) for v in value)
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


@cache
def _fields(kind: type) -> tuple[tuple[dataclasses.Field[Any], bool], ...] | None:
    """The fields of a dataclass, and whether each was added later; None for any other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((field, bool(field.metadata.get(_LATER))) for field in dataclasses.fields(kind))


def _left_out(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a field that was added later has its default."""
    factory = field.default_factory
    return bool(getattr(value, field.name) == (field.default if factory is dataclasses.MISSING else factory()))


class CanonicalJson(str):
    """Canonical JSON that was made already, so that a large value is not gone through again to be stored."""

    __slots__ = ()

    @property
    def content_hash(self) -> str:
        """The content hash of the value that it is made of."""
        return hashlib.sha256(self.encode()).hexdigest()


def canonical_json(value: Any) -> CanonicalJson:
    """JSON with sorted keys, without blanks, and with all characters as they are.

    Raises:
        TypeError: Something in the value has no canonical form.
        ValueError: A number is not finite, or a datetime has no time zone.
    """
    return CanonicalJson(_encode(plain(value)))


def content_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON."""
    return canonical_json(value).content_hash


def timestamp(at: datetime) -> str:
    """Write a time in UTC with microseconds and a trailing Z; such texts sort in the order of time.

    Raises:
        ValueError: The datetime has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone has no canonical form")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
