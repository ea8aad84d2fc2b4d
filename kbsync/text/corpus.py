"""Reads corpora: plain text, JSON lines, either of them gzipped, and directories of such files."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError

PLAIN = (".txt", ".md", ".text")
LINES = (".jsonl", ".ndjson")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def read_texts(paths: Iterable[Path]) -> list[str]:
    """Read all paragraphs of files.

    In plain text (``.txt``, ``.md``, ``.text``) blank lines separate paragraphs; in a file without a blank line, each
    line is a paragraph. In JSON lines (``.jsonl``, ``.ndjson``) each line is a string, or an object with a string under
    ``text``. Both may be gzipped (``.gz`` added). Line ends are normalised, and blanks around a paragraph are removed.

    Args:
        paths: Files and directories, read in this order; the files of a directory (at any depth) are sorted by name.

    Raises:
        DataError: a path does not exist, or a file can't be read; the error names file and line.
    """
    return [paragraph for path in paths for file in _files(Path(path)) for paragraph in _paragraphs(file)]


def texts_hash(texts: Sequence[str]) -> str:
    """SHA-256 of the paragraphs in their order."""
    return content_hash(list(texts))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"There is no file or directory {path}.", next_step="Correct the path.")
    files = sorted((p for p in path.rglob("*") if p.is_file() and _kind(p)), key=lambda p: p.relative_to(path).parts)
    if not files:
        raise DataError(
            f"{path} holds no text.", next_step=f"Texts end in {', '.join(PLAIN + LINES)}, with or without .gz."
        )
    return files


def _kind(path: Path) -> str:
    """``plain`` or ``lines``, by the file's name; empty for any other name."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    return "plain" if suffix in PLAIN else "lines" if suffix in LINES else ""


def _paragraphs(file: Path) -> list[str]:
    text = _read(file)
    if _kind(file) == "lines":
        return _json_lines(file, text)
    parts = _BLANK_LINES.split(text)
    if len(parts) == 1:
        parts = text.split("\n")
    return [part.strip() for part in parts if part.strip()]


def _read(file: Path) -> str:
    """The file's text with ``\\n`` line ends and without a byte order mark."""
    try:
        raw = file.read_bytes()
        data = gzip.decompress(raw) if file.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} can't be read: {error}.", next_step="Check that the file is whole.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: not UTF-8.", next_step="Convert the file to UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _json_lines(file: Path, text: str) -> list[str]:
    paragraphs = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file}, line {number}: not JSON ({error}).", next_step="Correct the line.") from error
        paragraph = value.get("text") if isinstance(value, dict) else value
        if not isinstance(paragraph, str):
            raise DataError(
                f"{file}, line {number}: neither a string nor an object with a string under 'text'.",
                next_step="Correct the line.",
            )
        if paragraph.strip():
            paragraphs.append(paragraph.strip())
    return paragraphs
