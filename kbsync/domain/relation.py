"""A relation: a watched property with its templates and policies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from kbsync.domain.canonical import content_hash
from kbsync.domain.statement import ItemId, PropertyId, ValueKind


class Cardinality(StrEnum):
    """What several statements that hold at once mean."""

    SINGLE = "single"
    """There can be only one, so they contradict each other."""
    LATEST = "latest"
    """The one that started last counts."""
    SET = "set"
    """All of them hold, and each is a right answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """When a change is believed."""

    settle: timedelta = timedelta(minutes=10)
    """A state that is unchanged for so long is settled."""
    trust: timedelta = timedelta(hours=72)
    """A settled state that is unchanged for so long is trusted, if it is well referenced."""
    min_references: int = 1
    """Each of its statements must have so many references."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A property of Wikidata that is watched, and the words in which it is asked."""

    name: str
    """How it is called in the configuration and on the command line."""
    property: PropertyId
    label: str
    """How people call it: ``head of government``."""
    templates: tuple[str, ...]
    """Prompts with one ``{}`` for the subject's label, which the answer follows. The first is probed and edited; the
    others are paraphrases that only the evaluation asks."""
    cardinality: Cardinality = Cardinality.SINGLE
    trust: TrustPolicy = TrustPolicy()
    subjects: tuple[ItemId, ...] = ()
    """Items that are listed one by one."""
    subject_pattern: str = ""
    """A SPARQL group pattern over ``?item`` that finds more subjects; empty: there are no more."""
    refresh: timedelta = timedelta(days=1)
    """How long the members that the pattern found are taken as known before it is asked again."""
    answer: ValueKind | None = None
    """The kind of value that counts (None: any). Values of other kinds are mistakes in the source and are left out."""
    language: str = "en"
    """The code of the language that items have their labels in, and that dates and numbers are written in."""

    @cached_property
    def template_hash(self) -> str:
        """Identifies the words: a verdict holds for one wording of the question."""
        return content_hash([list(self.templates)])

    def prompt(self, subject_label: str) -> str:
        """The prompt that is probed and edited."""
        return fill(self.templates[0], subject_label)


def fill(template: str, subject_label: str) -> str:
    """Put the subject in place of the template's only ``{}``; labels may contain braces, so ``str.format`` won't do."""
    before, _, after = template.partition("{}")
    return f"{before}{subject_label}{after}"
