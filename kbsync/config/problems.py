"""Every mistake in the configuration becomes one line that names the file, the key, and what to write instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from kbsync.config.secret_settings import secret_settings
from kbsync.config.toml_lines import Location, TomlLines
from kbsync.domain.errors import KbsyncError

Model = TypeVar("Model", bound=BaseModel)


def read_text(path: Path) -> str:
    """A file that a person wrote, in UTF-8, without the byte order mark that some editors put first."""
    return path.read_text(encoding="utf-8-sig")


def read_toml(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """Parse a TOML file.

    Args:
        problems: Gets a line when the file can't be read.

    Returns:
        The file's tables and keys; None when it can't be read.
    """
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: is not UTF-8 at byte {error.start}")
    except OSError as error:
        problems.append(f"{path}: can't be read: {error.strerror}")
    return None


def read_model(path: Path, model: type[Model], problems: list[str], *, with_lines: bool = False) -> Model | None:
    """Read a TOML file as an instance of ``model``.

    Args:
        problems: Gets a line for each mistake in the file.
        with_lines: Whether these name the line of the file, too.

    Returns:
        The instance; None when there is any mistake.
    """
    tables = read_toml(path, problems)
    if tables is None:
        return None
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        lines = TomlLines(read_text(path)) if with_lines else None
        problems += [mistake(path, location, text, lines) for location, text in describe(error, model)]
    return None


def mistake(path: Path, location: Location, text: str, lines: TomlLines | None = None) -> str:
    """``relations/capital.toml:4: phrasings.edit.question[0]: ...``; the line only where ``lines`` knows it."""
    line = lines.of(location) if lines else None
    return ": ".join(part for part in (f"{path}:{line}" if line else str(path), dotted(location), text) if part)


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """Each mistake as (location of the key, sentence), in the order of the fields."""
    mistakes = []
    items = error.errors(include_url=False)
    with_wrong_elements = {tuple(item["loc"][:-1]) for item in items}
    for item in items:
        location = tuple(item["loc"])
        match item["type"]:
            case "default_factory_not_called":
                continue  # the consequence of another mistake, which has its own line
            case "too_short" if location in with_wrong_elements:
                continue  # only right elements are counted, and each wrong one has its own line
            case "missing":
                text = "is missing"
            case "extra_forbidden":
                text = f"is not a key here{suggest(str(location[-1]), keys_at(model, location[:-1]))}"
            case _:
                cause = item.get("ctx", {}).get("error")
                text = cause.what if isinstance(cause, KbsyncError) else item["msg"].removeprefix("Value error, ")
                text = text[:1].lower() + text[1:]
                if not _is_secret(model, location):
                    text += _wrong_value(item["input"], text)
        mistakes.append((location, text))
    return mistakes


def dotted(location: Iterable[str | int]) -> str:
    """``("gate", "thresholds", 0, "metric")`` → ``gate.thresholds[0].metric``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def suggest(name: str, known: Iterable[str]) -> str:
    """A question that names the known word closest to ``name``; empty when none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def keys_at(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    """Names of the keys that may stand in the table at ``location``."""
    for part in location:
        if isinstance(part, int):
            continue
        inner = _table(model.model_fields[part].annotation) if part in model.model_fields else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _table(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[ThresholdSettings, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for arg in get_args(annotation) if (inner := _table(arg))), None)


def _is_secret(model: type[BaseModel], location: tuple[str | int, ...]) -> bool:
    """Whether what stands at ``location`` may hold a secret: it, something around it, or something in it."""
    names = tuple(part for part in location if isinstance(part, str))
    return any(names[: len(secret)] == secret[: len(names)] for secret, _ in secret_settings(model))


def _wrong_value(value: Any, text: str) -> str:
    """The wrong value in brackets, where that helps: it is short, and not in ``text`` already."""
    if isinstance(value, Mapping | list | tuple):
        return ""
    shown = repr(value)
    repeated = isinstance(value, str) and shown in text
    return "" if repeated or len(shown) > 80 else f" (got {shown})"
