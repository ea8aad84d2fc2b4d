"""A relation: a watched property with its templates and its policies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from kbsync.domain.canonical import content_hash
from kbsync.domain.statement import ItemId, PropertyId, ValueKind


class Cardinality(StrEnum):
    """What several statements that hold at once mean.

    ``single``: there can be one, several contradict each other. ``latest``: the one that started last.
    ``set``: all of them, and any one is a right answer.
    """

    SINGLE = "single"
    LATEST = "latest"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """When a change is believed: unchanged for ``settle`` → settled; for ``trust`` and well referenced → trusted."""

    settle: timedelta = timedelta(minutes=10)
    trust: timedelta = timedelta(hours=72)
    min_references: int = 1


@dataclass(frozen=True, kw_only=True)
class Relation:
    """``templates[0]`` is the prompt that is probed and edited; the others are paraphrases, kept for evaluation.

    Each template holds ``{}`` once, where the subject's label goes, and the answer follows its end.
    ``subjects`` are listed items; ``subject_pattern`` is a SPARQL group pattern over ``?item`` that finds more, and is
    asked again when ``refresh`` has passed. ``answer`` is the kind of value that counts (None: any); values of other
    kinds are mistakes in the source and are passed over. ``language``: the code of the language that items have their
    labels in, and that dates and numbers are written in.
    """

    name: str
    property: PropertyId
    label: str
    templates: tuple[str, ...]
    cardinality: Cardinality = Cardinality.SINGLE
    trust: TrustPolicy = TrustPolicy()
    subjects: tuple[ItemId, ...] = ()
    subject_pattern: str = ""
    refresh: timedelta = timedelta(days=1)
    answer: ValueKind | None = None
    language: str = "en"

    @cached_property
    def template_hash(self) -> str:
        return content_hash([list(self.templates)])

    def prompt(self, subject_label: str) -> str:
        """The probing prompt; the label is put in as text (a label may itself contain braces)."""
        return fill(self.templates[0], subject_label)


def fill(template: str, subject_label: str) -> str:
    """Put the subject into the template's only ``{}``; ``str.format`` would read braces inside labels."""
    before, _, after = template.partition("{}")
    return f"{before}{subject_label}{after}"
