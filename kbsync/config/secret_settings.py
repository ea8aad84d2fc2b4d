"""Which settings may hold a secret, what they hold, and whether others may read the files that they stand in."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from kbsync.domain.errors import ConfigError
from kbsync.system.hidden import secrets_in_url

EXPOSED = 0o006
"""Permissions with which anybody on the machine can read a file, or put another secret into it."""
Location = tuple[str, ...]
Mark = TypeVar("Mark")


@dataclass(frozen=True, slots=True)
class MayHoldSecret:
    """Marks a setting that is no ``SecretStr`` and may hold a secret all the same: a URL with user information, the
    options of a driver, the arguments of a program."""

    whole: bool = False
    """Whether each text in it may be one; else only what a URL has before its host or among its parameters."""


class SecretFile:
    """Marks a setting that names a file with a secret."""


class SecretSetting(NamedTuple):
    """A setting that may hold a secret."""

    location: Location
    whole: bool
    """As in ``MayHoldSecret``."""


def secret_settings(model: type[BaseModel]) -> Iterator[SecretSetting]:
    """Every setting below ``model`` that may hold a secret."""
    for location, mark in _marked(model, MayHoldSecret):
        yield SecretSetting(location, mark.whole)


def secret_files(model: type[BaseModel]) -> Iterator[Location]:
    """The location of every setting below ``model`` that names a file with a secret."""
    return (location for location, _ in _marked(model, SecretFile))


def secrets_in(value: Any, *, whole: bool) -> Iterator[str]:
    """The words of a setting's value that must not be told, whatever shape the value has, right or wrong."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        found = tuple(secrets_in_url(value))
        yield from found or ((value,) if whole and "://" not in value else ())
        return
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from secrets_in(part, whole=whole)


def exposure(path: Path) -> str:
    """Why a file is no place for a secret; empty where only its owner, and perhaps a group, may read it."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return ""
    if not mode & EXPOSED:
        return ""
    return f"{path} can be read or changed by everybody on this machine (mode {mode:04o}): chmod 600 {path}"


def require_private(file: Path | None, setting: str) -> None:
    """Raise ``ConfigError`` where others may read the file that holds a secret; called before the secret is used."""
    if file is not None and (told := exposure(file)):
        raise ConfigError([f"{setting}: {told}"])


def value_at(values: Any, location: Location) -> Any:
    """What stands at ``location`` of nested tables or models; None where there is nothing."""
    for part in location:
        values = values.get(part) if isinstance(values, Mapping) else getattr(values, part, None)
    return values


def _marked(model: type[BaseModel], kind: type[Mark], above: Location = ()) -> Iterator[tuple[Location, Mark]]:
    for name, field in model.model_fields.items():
        location = (*above, name)
        mark = next((m for m in _marks(field.metadata, field.annotation) if isinstance(m, kind)), None)
        if mark is not None:
            yield location, mark
            continue
        for inner in _models(field.annotation):
            yield from _marked(inner, kind, location)


def _marks(metadata: Sequence[Any], annotation: Any) -> Iterator[Any]:
    """The marks of a setting, wherever in its annotation they stand."""
    yield from metadata
    if annotation is SecretStr:
        yield MayHoldSecret(whole=True)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _marks(more, inner)
    elif get_origin(annotation) in (Union, types.UnionType):
        for inner in get_args(annotation):
            yield from _marks((), inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections inside an annotation such as ``dict[str, JobSettings]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
