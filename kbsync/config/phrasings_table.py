"""The tables of a relation file that hold words: its phrasings, and those of the second hops that people ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from kbsync.config.section import Section
from kbsync.config.toml_lines import Location
from kbsync.config.values import Question, Template, Text, is_language, unique
from kbsync.domain.languages import chain
from kbsync.domain.phrasing import Form, Phrasing, Use, in_both_uses

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


class ImpliesTable(Section):
    """``[[implies]]``: a second hop that people ask, such as the capital of the country of a city."""

    relation: Text
    """The relation that is asked of the object, by the name of its file."""
    phrasings: PhrasingsTable
    """The words in which it is asked of the subject, in the same form as the relation's own."""
