"""Relation and recipe files: validated TOML in, frozen domain values out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from kbsync.config.problems import describe, dotted, read_toml, suggest
from kbsync.config.section import Section
from kbsync.config.values import AnyDuration, Context, Dtype, Duration, Item, Language, Property, Template, Text, unique
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import ALGORITHMS, OPTIMISERS, Recipe
from kbsync.domain.relation import Cardinality, Relation, TrustPolicy
from kbsync.domain.statement import ItemId, PropertyId, ValueKind

_TRUST = TrustPolicy()
_REFRESH: timedelta = Relation.refresh
_RECIPE: Mapping[str, Any] = {f.name: f.default for f in dataclasses.fields(Recipe)}


class TrustTable(Section):
    settle: AnyDuration = _TRUST.settle
    trust: AnyDuration = _TRUST.trust
    min_references: Annotated[int, Field(ge=0)] = _TRUST.min_references

    @model_validator(mode="after")
    def _order(self) -> TrustTable:
        if self.trust < self.settle:
            raise ValueError("trust is shorter than settle; a change settles first")
        return self


class RelationFile(Section):
    """One watched property. The file's stem is the relation's name."""

    property: Property
    label: Text
    templates: Annotated[tuple[Template, ...], Field(min_length=1), AfterValidator(unique)]
    cardinality: Cardinality = Cardinality.SINGLE
    trust: TrustTable = TrustTable()
    subjects: Annotated[tuple[Item, ...], AfterValidator(unique)] = ()
    subject_pattern: str = ""
    refresh: Duration = _REFRESH
    answer: ValueKind | None = None
    translations: dict[Language, Annotated[tuple[Template, ...], Field(min_length=1), AfterValidator(unique)]] = Field(
        {}
    )

    @field_validator("subject_pattern")
    @classmethod
    def _binds_item(cls, pattern: str) -> str:
        if pattern.strip() and "?item" not in pattern:
            raise ValueError("does not name ?item, the variable that it must bind")
        return pattern.strip()

    @model_validator(mode="after")
    def _watches_something(self) -> RelationFile:
        if not self.subjects and not self.subject_pattern:
            raise ValueError("watches nothing: list subjects, or give a subject_pattern")
        return self

    def relation(self, name: str, language: str = "en") -> Relation:
        """As the domain has it, asked in ``language``; ``templates`` stand where there is no translation."""
        return Relation(
            name=name,
            property=PropertyId(self.property),
            label=self.label,
            templates=self.translations.get(language, self.templates),
            cardinality=self.cardinality,
            trust=TrustPolicy(**self.trust.model_dump()),
            subjects=tuple(ItemId(s) for s in self.subjects),
            subject_pattern=self.subject_pattern,
            refresh=self.refresh,
            answer=self.answer,
            language=language,
        )


def _algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"is none of {', '.join(ALGORITHMS)}{suggest(name, ALGORITHMS)}")
    return name


def _optimiser(name: str) -> str:
    if name not in OPTIMISERS:
        raise ValueError(f"is none of {', '.join(OPTIMISERS)}{suggest(name, OPTIMISERS)}")
    return name


class RecipeFile(Section):
    """The fields of ``Recipe`` with their bounds; the name is the file's stem unless it is written."""

    name: Text | None = None
    algorithm: Annotated[str, AfterValidator(_algorithm)] = _RECIPE["algorithm"]
    layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(unique)]
    covariance_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = _RECIPE["covariance_weight"]
    clamp: Annotated[float, Field(gt=0, allow_inf_nan=False)] = _RECIPE["clamp"]
    steps: Annotated[int, Field(ge=1)] = _RECIPE["steps"]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = _RECIPE["learning_rate"]
    relative_step: bool = _RECIPE["relative_step"]
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _RECIPE["weight_decay"]
    kl_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _RECIPE["kl_weight"]
    loss_threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _RECIPE["loss_threshold"]
    contexts: tuple[Context, ...] = _RECIPE["contexts"]
    context_count: Annotated[int, Field(ge=0)] = _RECIPE["context_count"]
    context_tokens: Annotated[int, Field(ge=1)] = _RECIPE["context_tokens"]
    covariance_tokens: Annotated[int, Field(ge=1)] = _RECIPE["covariance_tokens"]
    corpus: Text = _RECIPE["corpus"]
    guard_count: Annotated[int, Field(ge=0)] = _RECIPE["guard_count"]
    guard_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = _RECIPE["guard_weight"]
    dtype: Dtype = _RECIPE["dtype"]
    seed: Annotated[int, Field(ge=0)] = _RECIPE["seed"]
    batch: Annotated[int, Field(ge=1)] = _RECIPE["batch"]
    null_space_share: Annotated[float, Field(gt=0, lt=1)] = _RECIPE["null_space_share"]
    token_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _RECIPE["token_threshold"]
    press_rounds: Annotated[int, Field(ge=0, le=10)] = _RECIPE["press_rounds"]
    press_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] = _RECIPE["press_factor"]
    trace: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = _RECIPE["trace"]
    capacity: Annotated[int, Field(ge=0)] = _RECIPE["capacity"]
    optimiser: Annotated[str, AfterValidator(_optimiser)] = _RECIPE["optimiser"]

    @field_validator("layers")
    @classmethod
    def _rising(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if layers != tuple(sorted(layers)):
            raise ValueError("must rise: each layer takes up what the layers before it left over")
        return layers

    @model_validator(mode="after")
    def _one_layer(self) -> RecipeFile:
        if self.algorithm == "rome" and len(self.layers) != 1:
            raise ValueError("rome edits one layer; name one in layers")
        return self

    def recipe(self, name: str) -> Recipe:
        return Recipe(**{**self.model_dump(), "name": self.name or name})


Table = TypeVar("Table", bound=Section)


def _read(path: Path, model: type[Table], problems: list[str]) -> Table | None:
    data = read_toml(path, problems)
    if data is None:
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for location, text in describe(error, model):
            problems.append(": ".join(part for part in (str(path), dotted(location), text) if part))
    return None


def read_relations(directory: Path, problems: list[str], language: str = "en") -> tuple[Relation, ...]:
    """Every readable ``*.toml`` of the directory, by name; what is wrong is added to ``problems``."""
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        missing = "holds no relation (*.toml)" if directory.is_dir() else "is not a directory"
        problems.append(f"{directory}: {missing}")
    relations: dict[PropertyId, tuple[Path, Relation]] = {}
    for path in paths:
        table = _read(path, RelationFile, problems)
        if table is None:
            continue
        relation = table.relation(path.stem, language)
        first, _ = relations.setdefault(relation.property, (path, relation))
        if first != path:
            problems.append(f"{path}: property: {relation.property} is watched by {first} already")
    return tuple(relation for _, relation in relations.values())


def read_recipe(name_or_path: str, recipes_dir: Path, problems: list[str]) -> Recipe | None:
    """``name_or_path`` is a name in ``recipes_dir``, or (with a slash or ``.toml``) a path, which must be absolute
    or count from the working directory."""
    is_path = "/" in name_or_path or name_or_path.endswith(".toml")
    path = Path(name_or_path).expanduser() if is_path else recipes_dir / f"{name_or_path}.toml"
    if not is_path and not path.is_file():
        known = sorted(p.stem for p in recipes_dir.glob("*.toml"))
        hint = suggest(name_or_path, known) or f"; it holds {', '.join(known) or 'none'}"
        problems.append(f"{recipes_dir}: holds no recipe {name_or_path!r}{hint}")
        return None
    table = _read(path, RecipeFile, problems)
    return None if table is None else table.recipe(path.stem)


def load_relations(directory: Path) -> tuple[Relation, ...]:
    """All relations of a directory; raises ``ConfigError`` with every mistake of every file."""
    problems: list[str] = []
    relations = read_relations(directory, problems)
    if problems:
        raise ConfigError(problems)
    return relations


def load_recipe(name_or_path: str, recipes_dir: Path) -> Recipe:
    """One recipe; raises ``ConfigError`` with every mistake of it."""
    problems: list[str] = []
    recipe = read_recipe(name_or_path, recipes_dir, problems)
    if recipe is None:
        raise ConfigError(problems)
    return recipe
