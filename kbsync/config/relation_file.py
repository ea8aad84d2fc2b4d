"""Relation files: ``relations/NAME.toml`` holds one watched property, its phrasings, and whom it is watched for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from kbsync.config.phrasings_table import ImpliesTable, PhrasingsTable
from kbsync.config.problems import mistake, read_model, read_text, suggest
from kbsync.config.section import Section
from kbsync.config.toml_lines import Location, TomlLines
from kbsync.config.values import (
    AnyDuration,
    Duration,
    Item,
    Language,
    Property,
    Template,
    Text,
    unique,
)
from kbsync.domain.errors import ConfigError
from kbsync.domain.languages import chain
from kbsync.domain.phrasing import Phrasing, from_templates
from kbsync.domain.relation import Cardinality, Graph, Implied, Relation, TrustPolicy
from kbsync.domain.statement import ItemId, PropertyId, ValueKind

_TRUST = TrustPolicy()
_REFRESH: timedelta = Relation.refresh
_INSTEAD = (
    'write [phrasings.edit] with statement = ["..."] and question = ["..."] for what is asked and written, and '
    "[phrasings.held_out] with others for what is only measured"
)

Templates = Annotated[tuple[Template, ...], Field(min_length=1), AfterValidator(unique)]


class TrustTable(Section):
    """``[trust]``: when a changed value is believed (``domain.relation.TrustPolicy``)."""

    settle: AnyDuration = _TRUST.settle
    """Time after which an unchanged value is settled."""
    trust: AnyDuration = _TRUST.trust
    """Time after which an unchanged value with enough references is trusted."""
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
    phrasings: PhrasingsTable | None = None
    """The words in which it is asked, written and measured."""
    templates: Templates | None = None
    """What files had before there were phrasings: statements, of which the first is for the edit and the others are
    held out."""
    cardinality: Cardinality = Cardinality.SINGLE
    """What several statements that hold at once mean."""
    trust: TrustTable = TrustTable()
    """When a changed value is believed."""
    subjects: Annotated[tuple[Item, ...], AfterValidator(unique)] = ()
    """Items that are watched."""
    subject_pattern: str = ""
    """SPARQL graph pattern that binds ``?item``; every item that it finds is watched, too."""
    graph: Graph = Graph.MAIN
    """``scholarly``: the pattern is asked at ``source.scholarly``, which has the scholarly articles."""
    refresh: Duration = _REFRESH
    """After how long the pattern is asked again."""
    answer: ValueKind | None = None
    """Kind of value that counts, None: any. Values of another kind are mistakes in the source, and are passed over."""
    reverse: Template | None = None
    """The beginning of an English statement with ``{}`` for the answer, which the subject continues. It is only ever
    measured."""
    implies: tuple[ImpliesTable, ...] = ()
    """What is written beside a fact that is edited, where ``edit.consequences`` says so."""
    translations: dict[Language, Templates] = Field({})
    """Templates in other languages, beside ``templates``; those of ``source.language`` replace them."""

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

    @model_validator(mode="after")
    def _has_phrasings_of_one_kind(self) -> RelationFile:
        if self.phrasings is None and self.templates is None:
            raise ValueError(f"has no phrasings; {_INSTEAD}")
        if self.phrasings is not None and (self.templates is not None or self.translations):
            old = "templates" if self.templates is not None else "translations"
            raise ValueError(f"has [phrasings], which take the place of {old}; delete {old}")
        return self

    @field_validator("implies")
    @classmethod
    def _implies_each_once(cls, tables: tuple[ImpliesTable, ...]) -> tuple[ImpliesTable, ...]:
        unique(tuple(table.relation for table in tables))
        return tables

    def overlaps(self) -> Iterator[tuple[Location, str]]:
        """A place and a sentence for each held-out phrasing that the edit writes, too."""
        tables: list[tuple[Location, PhrasingsTable | None]] = [(("phrasings",), self.phrasings)]
        tables += [(("implies", n, "phrasings"), table.phrasings) for n, table in enumerate(self.implies)]
        for place, table in tables:
            yield from (((*place, *within), text) for within, text in (table.overlaps() if table else ()))

    def relation(self, name: str, language: str = "en") -> Relation:
        """The domain's relation ``name``, with the phrasings in ``language``, or else those in English."""
        return Relation(
            name=name,
            property=PropertyId(self.property),
            label=self.label,
            phrasings=self._phrasings(language),
            cardinality=self.cardinality,
            trust=TrustPolicy(**self.trust.model_dump()),
            subjects=tuple(ItemId(subject) for subject in self.subjects),
            subject_pattern=self.subject_pattern,
            graph=self.graph,
            refresh=self.refresh,
            answer=self.answer,
            reverse=(self.reverse or "") if language == "en" else "",
            language=language,
            implies=tuple(Implied(table.relation, table.phrasings.of(language)) for table in self.implies),
        )

    def _phrasings(self, language: str) -> tuple[Phrasing, ...]:
        if self.phrasings is not None:
            return self.phrasings.of(language)
        own = (self.translations[code] for code in chain(language) if code in self.translations)
        return from_templates(*next(own, self.templates or ()))


def read_relations(
    directory: Path, problems: list[str], language: str = "en", warnings: list[str] | None = None
) -> tuple[Relation, ...]:
    """Read every relation of a directory.

    Args:
        directory: Holds one ``*.toml`` per relation.
        problems: Gets a line for each mistake in each file.
        language: In which language the phrasings are wanted.
        warnings: Gets a line where files are written in a way that is out of date, or name what is not watched.

    Returns:
        The relations whose files hold no mistake, in the order of the files' names.
    """
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        missing = "holds no relation (*.toml)" if directory.is_dir() else "is not a directory"
        problems.append(f"{directory}: {missing}")
    relations: dict[PropertyId, tuple[Path, Relation]] = {}
    old = []
    for path in paths:
        table = _read_file(path, problems)
        if table is None:
            continue
        if table.templates is not None:
            old.append(path.name)
        relation = table.relation(path.stem, language)
        first, _ = relations.setdefault(relation.property, (path, relation))
        if first != path:
            problems.append(f"{path}: property: {relation.property} is watched by {first} already")
    found = tuple(relation for _, relation in relations.values())
    if warnings is None:
        return found
    if old:
        warnings.append(
            f"{directory}: {', '.join(old)}: templates are out of date. The first one is read as the edit's only "
            f"statement, and the others as held-out statements; {_INSTEAD}"
        )
    names = [relation.name for relation in found]
    warnings += [
        f"{directory}: {one.name} implies {two.relation!r}, which is not watched, so nothing follows from it"
        f"{suggest(two.relation, names)}"
        for one in found
        for two in one.implies
        if two.relation not in names
    ]
    return found


def _read_file(path: Path, problems: list[str]) -> RelationFile | None:
    table = read_model(path, RelationFile, problems, with_lines=True)
    overlaps = list(table.overlaps()) if table is not None else []
    if overlaps:
        lines = TomlLines(read_text(path))
        problems += [mistake(path, place, text, lines) for place, text in overlaps]
        return None
    return table


def load_relations(directory: Path) -> tuple[Relation, ...]:
    """All relations of a directory. Raises ``ConfigError`` with every mistake of every file."""
    problems: list[str] = []
    relations = read_relations(directory, problems)
    if problems:
        raise ConfigError(problems)
    return relations
