"""Load the configuration. Its layers, each over the one before: defaults, ``gate.toml``, main file, environment,
command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from kbsync.config.edit import EditSettings
from kbsync.config.gate import POLICY_FILE
from kbsync.config.problems import describe, dotted, read_toml, suggest
from kbsync.config.recipe_file import AUTO, FLOAT32, read_recipe
from kbsync.config.relation_file import read_relations
from kbsync.config.secret_settings import exposure, secret_files, secret_settings, secrets_in, value_at
from kbsync.config.settings import Settings
from kbsync.config.values import BASE
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Graph, Relation
from kbsync.system.hidden import hide

PREFIX = "KBSYNC_"
"""Environment variables with this prefix are settings: ``KBSYNC_SOURCE__BATCH`` is ``source.batch``."""
FILE_VARIABLE = "KBSYNC_CONFIG"
"""Environment variable that names the main file."""
SEARCHED = ("kbsync.toml", "config/kbsync.toml")
"""Where the main file is looked for, from the working directory, when neither argument nor variable names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that the configuration files say."""

    settings: Settings
    relations: tuple[Relation, ...]
    recipe: Recipe | None
    """None where it is to be found for the base."""
    file: Path | None = None
    """The main file; None when there is none."""
    warnings: tuple[str, ...] = ()
    """What still works and should be written otherwise."""

    def exposed_files(self) -> tuple[str, ...]:
        """A sentence for each file that holds a token or the webhook's secret, and that others can read."""
        files = {".".join(key): value_at(self.settings, key) for key in secret_files(Settings)}
        told = ((key, exposure(file)) for key, file in files.items() if file)
        return tuple(f"{key}: {sentence}" for key, sentence in told if sentence)

    def exposed_main_file(self) -> str:
        """Why the main file is no place for the secrets that it holds; empty where it holds none or nobody can read
        it."""
        tables = read_toml(self.file, []) if self.file else None
        held = (secrets_in(value_at(tables, key), whole=whole) for key, whole in secret_settings(Settings))
        return exposure(self.file) if self.file and tables and any(any(words) for words in held) else ""


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings alone.

    Args:
        path: The main file. None: the one that ``KBSYNC_CONFIG`` names, else the first of ``SEARCHED`` that exists,
            else none.
        overrides: Settings from the command line, nested as in the file: ``{"source": {"batch": 50}}``.

    Raises:
        ConfigError: With every mistake of all layers.
    """
    problems: list[str] = []
    settings = _Layers.read(path, overrides, problems).settings(problems)
    if settings is None or problems:
        raise ConfigError(problems)
    return settings


def load_all(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """Load settings, relations and recipe.

    Raises:
        ConfigError: With every mistake of all layers, of all relations, and of the recipe.
    """
    problems: list[str] = []
    warnings: list[str] = []
    layers = _Layers.read(path, overrides, problems)
    settings = layers.settings(problems)
    relations: tuple[Relation, ...] = ()
    recipe = None
    if relations_dir := layers.directory("relations_dir"):
        language = settings.source.language if settings else "en"
        relations = read_relations(relations_dir, problems, language, warnings)
    name = layers.recipe()
    if name != AUTO and (recipes_dir := layers.directory("recipes_dir")):
        recipe = read_recipe(name, recipes_dir, problems, settings.model.dtype if settings else FLOAT32)
    if settings is not None and relations:
        relations = tuple(replace(relation, probed=settings.probe.phrasings) for relation in relations)
        problems.extend(_unknown_relations(settings, relations))
        problems.extend(_nowhere(settings, relations))
    if settings is None or (recipe is None and name != AUTO) or problems:
        raise ConfigError(problems)
    return Configuration(
        settings=settings, relations=relations, recipe=recipe, file=layers.file, warnings=tuple(warnings)
    )


def _unknown_relations(settings: Settings, relations: tuple[Relation, ...]) -> Iterator[str]:
    """A line for each relation that a job names and that is not watched."""
    watched = [relation.name for relation in relations]
    for job, job_settings in settings.schedule.jobs.items():
        for name in job_settings.relations:
            if name not in watched:
                yield f"schedule.jobs.{job}.relations: no relation {name!r} is watched{suggest(name, watched)}"


def _nowhere(settings: Settings, relations: tuple[Relation, ...]) -> Iterator[str]:
    """A line for each relation whose pattern would be asked at an endpoint that is not configured."""
    for relation in relations:
        if relation.graph is Graph.SCHOLARLY and not settings.source.scholarly:
            yield f'source.scholarly: is not set, and the relation {relation.name} has graph = "scholarly"'


class _Environment(Settings, BaseSettings):
    """The fields of ``Settings`` for pydantic-settings to read from the environment; never instantiated."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True)


class _EnvironmentSource(EnvSettingsSource):
    """Lists and tables are JSON; what is not JSON stays text, so that validation reports it with all other mistakes."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers as they were read, not yet validated."""

    file: Path | None
    """The main file, if there is one."""
    readable: bool
    """Whether it could be read."""
    layers: tuple[tuple[str, Mapping[str, Any]], ...]
    """(name for messages, values) of the gate's file, the main file, the environment and the command line, in this
    order: the last one that has a key wins."""
    base: Path
    """The directory from which relative paths count."""

    @classmethod
    def read(cls, path: Path | None, overrides: Mapping[str, Any] | None, problems: list[str]) -> _Layers:
        file = _main_file(path)
        main = read_toml(file, problems) if file else {}
        problems.extend(_unknown_variables())
        environment = _EnvironmentSource(_Environment)()
        policy = file.parent / POLICY_FILE if file else Path(POLICY_FILE)
        gate = read_toml(policy, problems) if file and policy.is_file() else None
        layers = (
            (str(policy), {"gate": gate} if gate else {}),
            (str(file), main or {}),
            ("environment", environment),
            ("command line", overrides or {}),
        )
        for location, whole in secret_settings(Settings):
            for _, layer in layers:
                hide(secrets_in(value_at(layer, location), whole=whole))
        return cls(file, main is not None, layers, file.absolute().parent if file else Path.cwd())

    def merged(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for _, layer in self.layers:
            result = _merge(result, layer)
        return result

    def settings(self, problems: list[str]) -> Settings | None:
        if not self.readable:
            return None  # or every key that the file sets would be reported as missing
        try:
            return Settings.model_validate(self.merged(), context={BASE: self.base})
        except ValidationError as error:
            problems.extend(self._line(location, text) for location, text in describe(error, Settings))
        return None

    def directory(self, key: str) -> Path | None:
        """The directory that ``key`` sets, even where other keys are wrong; None where this one is."""
        value = self.merged().get(key, Settings.model_fields[key].default)
        return self.base / Path(value).expanduser() if isinstance(value, str | Path) else None

    def recipe(self) -> str:
        """The recipe's name, or its path counted from the base directory."""
        section = self.merged().get("edit")
        value = section.get("recipe") if isinstance(section, Mapping) else None
        name = value if isinstance(value, str) and value.strip() else str(EditSettings.model_fields["recipe"].default)
        return str(self.base / Path(name).expanduser()) if "/" in name or name.endswith(".toml") else name

    def _line(self, location: tuple[str | int, ...], text: str) -> str:
        """``text``, after the last layer that sets the key at ``location``, and the key as it is written there."""
        key = dotted(location)
        for place, layer in reversed(self.layers):
            if not _has(layer, location):
                continue
            if place == "environment":
                key = PREFIX + "__".join(str(part) for part in location if isinstance(part, str)).upper()
            return f"{place}: {key}: {text}"
        return f"{self.file or 'no configuration file'}: {key}: {text}"


def _main_file(path: Path | None) -> Path | None:
    if path is not None:
        return path
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    return next((Path(p) for p in SEARCHED if Path(p).is_file()), None)


def _unknown_variables() -> list[str]:
    """A line for each variable whose first word after ``KBSYNC_`` is no setting; the sections refuse what is deeper."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    problems = []
    for variable in sorted(os.environ):
        head = variable.upper().partition("__")[0]
        if head.startswith(PREFIX) and head not in known and head != FILE_VARIABLE:
            problems.append(f"environment: {variable}: is not a setting{suggest(head, [*known, FILE_VARIABLE])}")
    return problems


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``under``: tables are merged key by key; anything else, lists included, is replaced whole."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _has(layer: Any, location: tuple[str | int, ...]) -> bool:
    """Whether ``layer`` sets the key at ``location``."""
    for part in location:
        try:
            layer = layer[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
