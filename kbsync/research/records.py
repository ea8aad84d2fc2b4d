"""Records of a benchmark file, one at a time: a JSON array or JSON lines, plain or gzip."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from kbsync.domain.errors import DataError

_CHUNK = 1 << 16
_BETWEEN = " \t\r\n,"


class Record(NamedTuple):
    """A JSON object, its file, and its number there, from 1."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    @property
    def place(self) -> str:
        return f"{self.path}, record {self.number}"

    def text(self, name: str, *, of: Mapping[str, Any] | None = None) -> str:
        """A field that must be text and not empty, stripped. Raises ``DataError`` with file, record and field."""
        value = (self.fields if of is None else of).get(name)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{self.place}: {name!r} must be text that is not empty, not {value!r}.")
        return value.strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """A field that is a list of texts, stripped; empty if the record has no such field."""
        values = self.fields.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
            raise DataError(f"{self.place}: {name!r} must be a list of texts that are not empty.")
        return tuple(value.strip() for value in values)


def read_records(path: Path) -> Iterator[Record]:
    """Read one object at a time, so that memory does not grow with the file.

    Raises:
        DataError: The file can't be opened, is cut off, or holds something that is not an object.
    """
    number = 0
    try:
        with _open(path) as stream:
            for number, fields in enumerate(_objects(stream), start=1):
                if not isinstance(fields, dict):
                    raise DataError(
                        f"{path}, record {number}: a JSON object was expected, not {type(fields).__name__}."
                    )
                yield Record(path, number, fields)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, json.JSONDecodeError) as error:
        raise DataError(
            f"{path} can't be read after record {number}: {error}.",
            next_step="It must be a JSON array or JSON lines, plain or gzip.",
        ) from error


def _open(path: Path) -> IO[str]:
    with path.open("rb") as head:
        packed = head.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")


def _objects(stream: IO[str]) -> Iterator[Any]:
    """The values of a JSON array, or of a sequence of JSON values. A truncated value raises ``JSONDecodeError``."""
    decoder = json.JSONDecoder()
    buffer = stream.read(_CHUNK).lstrip()
    in_array = buffer.startswith("[")
    buffer = buffer[1:] if in_array else buffer
    at_end = False
    while True:
        buffer = buffer.lstrip(_BETWEEN)
        if in_array and buffer.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(buffer) if buffer else (None, 0)
        except json.JSONDecodeError:
            if at_end:
                raise
            end = 0
        if end:
            yield value
            buffer = buffer[end:]
        elif at_end:
            if in_array:
                raise json.JSONDecodeError("the array is not closed", buffer, len(buffer))
            return
        else:
            more = stream.read(max(_CHUNK, len(buffer)))
            at_end = not more
            buffer += more


def file_hash(path: Path) -> str:
    """SHA-256 of the records' bytes; of the unpacked bytes for gzip, so that data packed twice has one hash."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
