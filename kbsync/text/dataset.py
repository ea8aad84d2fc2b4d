"""Texts of a data set on the Hugging Face hub, fetched once and kept as JSON lines. Needs the package ``datasets``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.ports import Work
from kbsync.system.durable import make_directory, write_file
from kbsync.system.messages import first_line

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")
_OPTIONS = ("config", "split", "field", "revision")


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A data set on the hub, and which of its texts are meant."""

    name: str
    """``OWNER/NAME``."""
    config: str | None = None
    split: str = "train"
    field: str = "text"
    """The field of each row that holds the text."""
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Read ``OWNER/NAME?config=…&split=train&field=text&revision=…``, where everything but the name is optional.

        Raises ``ValueError`` with the reason.
        """
        name, _, query = text.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not the name of a data set: OWNER/NAME?config=...&split=train&field=text")
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(_OPTIONS)}")
        return cls(name, **options)


def fetch_dataset(wanted: DatasetName, characters: int, cache_dir: Path, work: Work) -> Path:
    """Fetch the first texts of a data set, unless they were fetched before.

    Texts that were fetched are used again even if the data set has changed since; a ``revision`` says which are meant.
    No code of the data set is run.

    Args:
        characters: Fetching ends with the text that reaches this many characters.
        cache_dir: Where the texts are kept.
        work: Advances by characters.

    Returns:
        A ``.jsonl`` file in ``cache_dir``.

    Raises:
        DataError: the package ``datasets`` is not installed, the hub can't be reached, there is no such data set or
        field,
            or it holds no text.
    """
    path = cache_dir / f"{wanted.name.replace('/', '--')}-{content_hash([wanted, characters])[:16]}.jsonl"
    if path.is_file():
        return path
    lines, left = [], characters
    work.start(f"fetch {wanted.name}", characters)
    for text in _rows(wanted):
        lines.append(json.dumps({"text": text}, ensure_ascii=False))
        left -= len(text)
        work.advance(len(text))
        if left <= 0:
            break
    work.finish(f"{len(lines)} texts")
    if not lines:
        raise DataError(f"The data set {wanted.name} gave no text.", next_step="Name another split or field.")
    make_directory(cache_dir)
    write_file(path, ("\n".join(lines) + "\n").encode())
    return path


def _rows(wanted: DatasetName) -> Iterator[str]:
    """The texts of the data set, one by one as they are fetched."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(
            f"Fetching the data set {wanted.name} needs the package datasets, which is not installed.",
            next_step="Install it: pip install 'kbsync[datasets]', or name files of text instead.",
        ) from error
    try:
        rows = load_dataset(wanted.name, wanted.config, split=wanted.split, revision=wanted.revision, streaming=True)
        for row in rows:
            text: Any = row[wanted.field]
            if isinstance(text, str) and text.strip():
                yield text.strip()
    except KeyError as error:
        raise DataError(
            f"The data set {wanted.name} has no field {wanted.field!r}.", next_step="Name it: ?field=NAME"
        ) from error
    except Exception as error:  # the package passes on whatever its readers and the network raise
        raise DataError(
            f"The data set {wanted.name} can't be fetched: {first_line(error)}",
            next_step="Check name, config, split and the network, or name files of text instead.",
        ) from error
