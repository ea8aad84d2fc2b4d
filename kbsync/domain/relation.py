"""A relation: a watched property with its phrasings and policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from kbsync.domain.canonical import content_hash
from kbsync.domain.phrasing import PLAIN, Form, FramedPhrasing, Frames, Phrasing, Use, fill, framed, template
from kbsync.domain.statement import ItemId, PropertyId, ValueKind

_TURNS = (Form.STATEMENT, Form.QUESTION, Form.STATEMENT, Form.DIALOGUE)
"""The forms in the order in which probing takes them, so that three phrasings are of two forms."""


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
    """Time after which an unchanged state is settled."""
    trust: timedelta = timedelta(hours=72)
    """Time after which an unchanged, settled state is trusted, if it has enough references."""
    min_references: int = 1
    """Number of references that each of its statements must have."""

    @property
    def names(self) -> timedelta:
        """Names must be unchanged for longer than this: half the trust time.

        So a name that was put right soon after a statement appeared is ready when the statement is.
        """
        return self.trust / 2


class Graph(StrEnum):
    """The part of Wikidata in which a relation's subjects are."""

    MAIN = "main"
    SCHOLARLY = "scholarly"
    """Scholarly articles, which have an endpoint of their own."""


@dataclass(frozen=True, slots=True)
class Implied:
    """A second hop that people ask: what a relation says of the object, asked of the subject."""

    relation: str
    """The name of the relation that tells it of the object."""
    phrasings: tuple[Phrasing, ...]
    """The words in which it is asked of the subject; at least one of them is for the edit."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A property of Wikidata that is watched, and the words in which it is asked."""

    name: str
    """How it is called in the configuration and on the command line."""
    property: PropertyId
    label: str
    """How people call it: ``head of government``."""
    phrasings: tuple[Phrasing, ...]
    """At least one of them is for the edit. The first statement among these is the prompt."""
    cardinality: Cardinality = Cardinality.SINGLE
    trust: TrustPolicy = TrustPolicy()
    subjects: tuple[ItemId, ...] = ()
    """Items that are listed one by one."""
    subject_pattern: str = ""
    """A SPARQL group pattern over ``?item`` that finds more subjects; empty: there are no more."""
    graph: Graph = Graph.MAIN
    """Where the pattern is asked."""
    refresh: timedelta = timedelta(days=1)
    """How long the members that the pattern found are taken as known before it is asked again."""
    answer: ValueKind | None = None
    """The kind of value that counts (None: any). Values of other kinds are mistakes in the source and are left out."""
    reverse: str = ""
    """The beginning of a statement with ``{}`` for the answer, which the subject continues; only measured, never
    written. Empty: the relation is not asked backwards."""
    language: str = "en"
    """The code of the language that items have their labels in, and that dates and numbers are written in."""

    frames: Frames = PLAIN
    """How the model that is kept in step is asked: plainly, or through its chat template."""

    probed: int = 1
    """Number of edit phrasings in which a fact is probed."""

    implies: tuple[Implied, ...] = ()
    """What else is asked of a subject whose object has changed."""

    hops: tuple[Relation, ...] = ()
    """Of a relation that is asked in two hops: the subject's, then the object's. Empty: it is a property of
    Wikidata."""

    def framed(self, frames: Frames) -> Relation:
        """The same relation for a model that is asked in these frames."""
        return replace(self, frames=frames)

    def of(self, use: Use, form: Form | None = None) -> tuple[Phrasing, ...]:
        """The phrasings of one use and form (None: any): statements first, then questions, then dialogue."""
        forms = list(Form) if form is None else [form]
        return tuple(p for wanted in forms for p in self.phrasings if p.use == use and p.form == wanted)

    def templates(self, use: Use, form: Form | None = None) -> tuple[str, ...]:
        """The phrasings of ``of`` in their frames: what a model reads, with one ``{}`` for the subject."""
        return tuple(template(phrasing, self.frames) for phrasing in self.of(use, form))

    @cached_property
    def written(self) -> tuple[FramedPhrasing, ...]:
        """The edit phrasings in their frames, with what ends their answers; the prompt comes first."""
        return tuple(framed(phrasing, self.frames) for phrasing in self.of(Use.EDIT))

    @cached_property
    def prompt_template(self) -> str:
        """What is probed and edited: the first edit phrasing."""
        return self.templates(Use.EDIT)[0]

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The templates that probing asks: the prompt, a question, another statement, dialogue, and again so."""
        left = {form: list(self.templates(Use.EDIT, form)) for form in Form}
        chosen = [left[form].pop(0) for _ in self.phrasings for form in _TURNS if left[form]]
        return tuple(chosen[: self.probed])

    @cached_property
    def template_hash(self) -> str:
        """Identifies the words that probing asks: a verdict holds for them."""
        return content_hash(list(self.asked))

    def prompt(self, subject_label: str) -> str:
        """The prompt that is probed and edited."""
        return fill(self.prompt_template, subject_label)
