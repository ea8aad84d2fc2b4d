"""Load the configuration: defaults, gate.toml, file, environment, command line, each over the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from kbsync.config.gate import POLICY_FILE
from kbsync.config.problems import describe, dotted, read_toml, suggest
from kbsync.config.recipe_file import read_recipe
from kbsync.config.relation_file import read_relations
from kbsync.config.settings import EditSettings, Settings
from kbsync.config.values import BASE
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation

PREFIX = "KBSYNC_"
FILE_VARIABLE = "KBSYNC_CONFIG"
SEARCHED = ("kbsync.toml", "config/kbsync.toml")
"""Where the file is looked for in the working directory when neither argument nor variable names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that the configuration files say. ``file`` is None when there is no main file."""

    settings: Settings
    relations: tuple[Relation, ...]
    recipe: Recipe
    file: Path | None = None


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings alone; raises ``ConfigError`` with every mistake of file, environment and overrides.

    ``path`` None: the file that ``KBSYNC_CONFIG`` names, else the first of ``SEARCHED`` that exists, else no file.
    ``overrides`` is nested like the file: ``{"source": {"batch": 50}}``.
    """
    problems: list[str] = []
    settings = _Layers.read(path, overrides, problems).settings(problems)
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def load_all(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """Settings, relations and recipe; raises one ``ConfigError`` with the mistakes of all files together."""
    problems: list[str] = []
    layers = _Layers.read(path, overrides, problems)
    settings = layers.settings(problems)
    relations: tuple[Relation, ...] = ()
    recipe = None
    if relations_dir := layers.directory("relations_dir"):
        relations = read_relations(relations_dir, problems, settings.source.language if settings else "en")
    if recipes_dir := layers.directory("recipes_dir"):
        recipe = read_recipe(layers.recipe(), recipes_dir, problems)
    if settings is not None and relations:
        problems.extend(_unknown_relations(settings, relations))
    if settings is None or recipe is None or problems:
        raise ConfigError(problems)
    return Configuration(settings=settings, relations=relations, recipe=recipe, file=layers.file)


def _unknown_relations(settings: Settings, relations: tuple[Relation, ...]) -> Iterator[str]:
    """Jobs may only name relations that are watched."""
    known = [relation.name for relation in relations]
    for job, its in settings.schedule.jobs.items():
        for name in its.relations:
            if name not in known:
                yield f"schedule.jobs.{job}.relations: no relation {name!r} is watched{suggest(name, known)}"


class _Environment(Settings, BaseSettings):
    """Gives pydantic-settings the shape of ``Settings``; never instantiated."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True)


class _EnvironmentSource(EnvSettingsSource):
    """Lists and tables are JSON; what is not JSON stays text, so that validation reports it with all the rest."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers as read: the gate's policy, the main file, the environment, the overrides (the last one wins)."""

    file: Path | None
    readable: bool
    layers: tuple[tuple[str, Mapping[str, Any]], ...]
    base: Path

    @classmethod
    def read(cls, path: Path | None, overrides: Mapping[str, Any] | None, problems: list[str]) -> _Layers:
        file = _find(path)
        written = read_toml(file, problems) if file else {}
        problems.extend(_unknown_variables())
        environment = _EnvironmentSource(_Environment)()
        policy = file.parent / POLICY_FILE if file else Path(POLICY_FILE)
        gate = read_toml(policy, problems) if file and policy.is_file() else None
        beneath = ((str(policy), {"gate": gate}),) if gate else ()
        layers = (*beneath, (str(file), written or {}), ("environment", environment), ("command line", overrides or {}))
        return cls(file, written is not None, layers, file.absolute().parent if file else Path.cwd())

    def merged(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for _, layer in self.layers:
            result = _merge(result, layer)
        return result

    def settings(self, problems: list[str]) -> Settings | None:
        if not self.readable:
            return None  # every key that the file sets would be reported as missing
        try:
            return Settings.model_validate(self.merged(), context={BASE: self.base})
        except ValidationError as error:
            problems.extend(self._line(location, text) for location, text in describe(error, Settings))
        return None

    def directory(self, key: str) -> Path | None:
        """A directory key, also when other keys are wrong; None when this one is."""
        value = self.merged().get(key, Settings.model_fields[key].default)
        return self.base / Path(value).expanduser() if isinstance(value, str | Path) else None

    def recipe(self) -> str:
        """The recipe's name, or its path counted from the base directory."""
        section = self.merged().get("edit")
        value = section.get("recipe") if isinstance(section, Mapping) else None
        name = value if isinstance(value, str) and value.strip() else str(EditSettings.model_fields["recipe"].default)
        return str(self.base / Path(name).expanduser()) if "/" in name or name.endswith(".toml") else name

    def _line(self, location: tuple[str | int, ...], text: str) -> str:
        """Say where the wrong value was set: the last layer that has the key."""
        key = dotted(location)
        for place, layer in reversed(self.layers):
            if not _has(layer, location):
                continue
            if place == "environment":
                key = PREFIX + "__".join(str(part) for part in location if isinstance(part, str)).upper()
            return f"{place}: {key}: {text}"
        return f"{self.file or 'no configuration file'}: {key}: {text}"


def _find(path: Path | None) -> Path | None:
    if path is not None:
        return path
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    return next((Path(p) for p in SEARCHED if Path(p).is_file()), None)


def _unknown_variables() -> list[str]:
    """Misspelt first words of ``KBSYNC_...``; deeper ones are refused by the sections themselves."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    problems = []
    for variable in sorted(os.environ):
        head = variable.upper().partition("__")[0]
        if head.startswith(PREFIX) and head not in known and head != FILE_VARIABLE:
            problems.append(f"environment: {variable}: is not a setting{suggest(head, [*known, FILE_VARIABLE])}")
    return problems


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; anything else, lists included, is replaced whole."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _has(layer: Any, location: tuple[str | int, ...]) -> bool:
    for part in location:
        try:
            layer = layer[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
