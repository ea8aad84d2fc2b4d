"""Relation files: ``relations/NAME.toml`` holds one watched property, its phrasings, and whom it is watched for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from kbsync.config.problems import mistake, read_model, read_text
from kbsync.config.section import Section
from kbsync.config.toml_lines import Location, TomlLines
from kbsync.config.values import (
    AnyDuration,
    Duration,
    Item,
    Language,
    Property,
    Question,
    Template,
    Text,
    is_language,
    unique,
)
from kbsync.domain.errors import ConfigError
from kbsync.domain.languages import chain
from kbsync.domain.phrasing import Form, Phrasing, Use, from_templates, in_both_uses
from kbsync.domain.relation import Cardinality, Graph, Relation, TrustPolicy
from kbsync.domain.statement import ItemId, PropertyId, ValueKind

_TRUST = TrustPolicy()
_REFRESH: timedelta = Relation.refresh
_INSTEAD = (
    'write [phrasings.edit] with statement = ["..."] and question = ["..."] for what is asked and written, and '
    "[phrasings.held_out] with others for what is only measured"
)

Templates = Annotated[tuple[Template, ...], Field(min_length=1), AfterValidator(unique)]
Statements = Annotated[tuple[Template, ...], AfterValidator(unique)]
Questions = Annotated[tuple[Question, ...], AfterValidator(unique)]


class UseTable(Section):
    """``[phrasings.edit]`` or ``[phrasings.held_out]``: the phrasings of one use, by form."""

    statement: Statements = ()
    """Beginnings of a sentence that the answer continues."""
    question: Questions = ()
    """Bare questions; kbsync puts the words around them by which a model is asked."""
    dialogue: Questions = ()
    """What somebody says in a conversation who wants to know the answer."""


class UsesTable(Section):
    """Phrasings of one language."""

    edit: UseTable
    """What is asked and written. The first statement is the prompt."""
    held_out: UseTable = UseTable()
    """What is only ever measured."""

    @model_validator(mode="after")
    def _can_be_edited(self) -> UsesTable:
        edited = [p for p in self.phrasings if p.use is Use.EDIT]
        if not edited:
            raise ValueError("has no phrasing for the edit, so nothing could be asked or written")
        return self

    @property
    def phrasings(self) -> tuple[Phrasing, ...]:
        """The domain's phrasings, as they are listed."""
        return tuple(self.located.values())

    @property
    def located(self) -> dict[Location, Phrasing]:
        """The phrasings by their place in the table, such as ``("edit", "question", 0)``."""
        tables = {Use.EDIT: self.edit, Use.HELD_OUT: self.held_out}
        return {
            (use.value, form.value, index): Phrasing(text, form, use)
            for use, table in tables.items()
            for form in Form
            for index, text in enumerate(getattr(table, form))
        }

    def overlaps(self) -> Iterator[tuple[Location, str]]:
        """A place and a sentence for each held-out phrasing that the edit writes, too."""
        located = self.located
        for edited, held_out in in_both_uses(located.values()):
            place = next(place for place, phrasing in located.items() if phrasing is held_out)
            text = f"{held_out.text!r} is held out and has the same words as {edited.text!r}, which is for the edit"
            yield place, f"{text}; what the edit writes can't be measured by it"


class PhrasingsTable(UsesTable):
    """``[phrasings]``: the phrasings in English, and under ``[phrasings.de]`` and so on those in other languages."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, UsesTable] = Field(init=False)

    @model_validator(mode="before")
    @classmethod
    def _uses_and_languages(cls, tables: Any) -> Any:
        for key in tables if isinstance(tables, dict) else ():
            if key not in (*Use, *Form) and not is_language(key):
                raise ValueError(f"{key!r} is neither a use ({', '.join(Use)}) nor a language such as 'de'")
            if key in tuple(Form):
                raise ValueError(
                    f"{key!r} stands under no use; write it under [phrasings.edit] or [phrasings.held_out]"
                )
        return tables

    def of(self, language: str) -> tuple[Phrasing, ...]:
        """The phrasings in ``language`` or in a form of it that stands in for it, or else those in English."""
        own = next((self.__pydantic_extra__[code] for code in chain(language) if code in self.__pydantic_extra__), self)
        return own.phrasings

    def overlaps(self) -> Iterator[tuple[Location, str]]:
        yield from super().overlaps()
        for language, table in self.__pydantic_extra__.items():
            yield from (((language, *place), text) for place, text in table.overlaps())


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
        warnings: Gets a line where files are written in a way that is out of date.

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
    if old and warnings is not None:
        warnings.append(
            f"{directory}: {', '.join(old)}: templates are out of date. The first one is read as the edit's only "
            f"statement, and the others as held-out statements; {_INSTEAD}"
        )
    return tuple(relation for _, relation in relations.values())


def _read_file(path: Path, problems: list[str]) -> RelationFile | None:
    table = read_model(path, RelationFile, problems, with_lines=True)
    overlaps = list(table.phrasings.overlaps()) if table is not None and table.phrasings is not None else []
    if overlaps:
        lines = TomlLines(read_text(path))
        problems += [mistake(path, ("phrasings", *place), text, lines) for place, text in overlaps]
        return None
    return table


def load_relations(directory: Path) -> tuple[Relation, ...]:
    """All relations of a directory. Raises ``ConfigError`` with every mistake of every file."""
    problems: list[str] = []
    relations = read_relations(directory, problems)
    if problems:
        raise ConfigError(problems)
    return relations
