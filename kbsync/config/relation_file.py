"""Relation files: ``relations/NAME.toml`` holds one watched property, its phrasings, and whom it is watched for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from kbsync.config.problems import read_model
from kbsync.config.section import Section
from kbsync.config.values import AnyDuration, Duration, Item, Language, Property, Template, Text, unique
from kbsync.domain.errors import ConfigError
from kbsync.domain.relation import Cardinality, Relation, TrustPolicy
from kbsync.domain.statement import ItemId, PropertyId, ValueKind

_TRUST = TrustPolicy()
_REFRESH: timedelta = Relation.refresh

Templates = Annotated[tuple[Template, ...], Field(min_length=1), AfterValidator(unique)]


class TrustTable(Section):
    """``[trust]``: when a changed value is believed (``domain.relation.TrustPolicy``)."""

    settle: AnyDuration = _TRUST.settle
    """A value that stays unchanged for so long is settled."""
    trust: AnyDuration = _TRUST.trust
    """A value that stays unchanged for so long, and has the references, is trusted."""
    min_references: Annotated[int, Field(ge=0)] = _TRUST.min_references
    """References that a trusted statement has at least."""

    @model_validator(mode="after")
    def _trust_follows_settle(self) -> TrustTable:
        if self.trust < self.settle:
            raise ValueError("trust is shorter than settle; a change settles first")
        return self


class RelationFile(Section):
    """One watched property. The relation's name is the file's stem."""

    property: Property
    """Wikidata's id of the property, such as ``P36``."""
    label: Text
    """What the property is called in messages and reports."""
    templates: Templates
    """Prompts with one ``{}`` for the subject; the answer follows their end. The first one is probed and edited."""
    cardinality: Cardinality = Cardinality.SINGLE
    """What several statements that hold at once mean."""
    trust: TrustTable = TrustTable()
    """When a changed value is believed."""
    subjects: Annotated[tuple[Item, ...], AfterValidator(unique)] = ()
    """Items that are watched."""
    subject_pattern: str = ""
    """SPARQL graph pattern that binds ``?item``; every item that it finds is watched, too."""
    refresh: Duration = _REFRESH
    """After how long the pattern is asked again."""
    answer: ValueKind | None = None
    """Kind of value that counts, None: any. Values of another kind are mistakes in the source, and are passed over."""
    translations: dict[Language, Templates] = Field({})
    """Templates in other languages; those of ``source.language`` replace ``templates``."""

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
        """The domain's relation ``name``, with the templates of ``language``, or else ``templates``."""
        return Relation(
            name=name,
            property=PropertyId(self.property),
            label=self.label,
            templates=self.translations.get(language, self.templates),
            cardinality=self.cardinality,
            trust=TrustPolicy(**self.trust.model_dump()),
            subjects=tuple(ItemId(subject) for subject in self.subjects),
            subject_pattern=self.subject_pattern,
            refresh=self.refresh,
            answer=self.answer,
            language=language,
        )


def read_relations(directory: Path, problems: list[str], language: str = "en") -> tuple[Relation, ...]:
    """Read every relation of a directory.

    Args:
        directory: Holds one ``*.toml`` per relation.
        problems: Gets a line for each mistake in each file.
        language: Which translation of the templates is used.

    Returns:
        The relations whose files hold no mistake, in the order of the files' names.
    """
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        missing = "holds no relation (*.toml)" if directory.is_dir() else "is not a directory"
        problems.append(f"{directory}: {missing}")
    relations: dict[PropertyId, tuple[Path, Relation]] = {}
    for path in paths:
        table = read_model(path, RelationFile, problems)
        if table is None:
            continue
        relation = table.relation(path.stem, language)
        first, _ = relations.setdefault(relation.property, (path, relation))
        if first != path:
            problems.append(f"{path}: property: {relation.property} is watched by {first} already")
    return tuple(relation for _, relation in relations.values())


def load_relations(directory: Path) -> tuple[Relation, ...]:
    """All relations of a directory. Raises ``ConfigError`` with every mistake of every file."""
    problems: list[str] = []
    relations = read_relations(directory, problems)
    if problems:
        raise ConfigError(problems)
    return relations
