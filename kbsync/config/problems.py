"""From validation errors to lines that name file, key, and what to write instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from kbsync.domain.errors import KbsyncError

SECRET_KEYS = frozenset({"database_url"})
"""Keys whose value never appears in a message."""


def read_toml(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """The parsed file; None, and a problem noted, when it can't be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML: {error}")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: is not UTF-8 at byte {error.start}")
    except OSError as error:
        problems.append(f"{path}: can't be read: {error.strerror}")
    return None


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """Each mistake as (location of the key, sentence), in the order of the fields."""
    found = []
    items = error.errors(include_url=False)
    inside = {tuple(item["loc"][:-1]) for item in items}
    for item in items:
        location = tuple(item["loc"])
        match item["type"]:
            case "default_factory_not_called":
                continue  # the consequence of another mistake that has its own line
            case "too_short" if location in inside:
                continue  # wrong elements are not counted; they have their own lines
            case "missing":
                text = "is missing"
            case "extra_forbidden":
                text = f"is not a key here{suggest(str(location[-1]), fields_at(model, location[:-1]))}"
            case _:
                cause = item.get("ctx", {}).get("error")
                text = cause.what if isinstance(cause, KbsyncError) else item["msg"].removeprefix("Value error, ")
                text = text[:1].lower() + text[1:] + _shown(location, item["input"], text)
        found.append((location, text))
    return found


def dotted(location: Iterable[str | int]) -> str:
    """``("gate", "thresholds", 0, "metric")`` → ``gate.thresholds[0].metric``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def suggest(name: str, known: Iterable[str]) -> str:
    """A question that names the closest known word, or nothing when none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def fields_at(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
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
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for arg in get_args(annotation) if (inner := _table(arg))), None)


def _shown(location: tuple[str | int, ...], value: Any, text: str) -> str:
    """The wrong value where it helps: short, not secret, not said already."""
    if isinstance(value, Mapping | list | tuple) or SECRET_KEYS.intersection(map(str, location)):
        return ""
    shown = repr(value)
    said = isinstance(value, str) and shown in text
    return "" if said or len(shown) > 80 else f" (got {shown})"
