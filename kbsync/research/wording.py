"""In which words a benchmark's case is written: in its published prompt, or in all that its relation is asked in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kbsync.config import shipped_relations
from kbsync.domain.answer_text import normalise
from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import PLAIN, FramedPhrasing, Phrasing, Use, fill, framed
from kbsync.domain.reframing import reframed
from kbsync.domain.relation import Relation
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.statement import PropertyId
from kbsync.research.cases import Case
from kbsync.research.records import read_records


class Wording:
    """Makes an editor's input of a case: here, its published prompt and nothing else."""

    def rewrite(self, case: Case, *, is_practised: bool = False) -> Rewrite:
        """The case as an editor takes it; ``is_practised``: also in further frames, for a refinement that trains in
        them. The answer has no end there either."""
        practised = reframed((Phrasing(case.template),), PLAIN, "en", case.subject) if is_practised else ()
        return replace(case.rewrite, practised=tuple(FramedPhrasing(p.template) for p in practised))

    def told(self, cases: Sequence[Case]) -> Mapping[str, int]:
        """What the evidence says of how these cases were written; empty: nothing beside what is published."""
        del cases
        return {}


PUBLISHED = Wording()


class InAllPhrasings(Wording):
    """The published prompt first, and after it the edit phrasings of the case's relation.

    The published paraphrases stay the measure, so a phrasing whose words stand in one of them is left out: it would
    have been written. A case whose relation has no phrasings is written in its published prompt.
    """

    def __init__(self, properties: Mapping[str, str], relations: Mapping[PropertyId, Relation]) -> None:
        """
        Args:
            properties: Each case's Wikidata property, by the case's id.
            relations: By property.
        """
        self._properties = properties
        self._relations = relations

    def rewrite(self, case: Case, *, is_practised: bool = False) -> Rewrite:
        prompt, *others = (Phrasing(case.template), *(p for p in self._phrasings(case) if not _measured(case, p)))
        practised = reframed((prompt, *others), PLAIN, "en", case.subject) if is_practised else ()
        end, phrasings = framed(prompt, PLAIN).end, tuple(framed(p, PLAIN) for p in others)
        return Rewrite(case.template, case.subject, case.target, end, phrasings, practised)

    def told(self, cases: Sequence[Case]) -> Mapping[str, int]:
        related = [case for case in cases if self._phrasings(case)]
        written = sum(len(self.rewrite(case).phrasings) for case in related)
        return {
            "cases_in_more_phrasings": len(related),
            "cases_without_a_relation": len(cases) - len(related),
            "phrasings": written,
            "left_out_as_they_are_measured": sum(len(self._phrasings(case)) for case in related) - written,
        }

    def _phrasings(self, case: Case) -> tuple[Phrasing, ...]:
        relation = self._relations.get(PropertyId(self._properties.get(case.id, "")))
        return () if relation is None else relation.of(Use.EDIT)


def _measured(case: Case, phrasing: Phrasing) -> bool:
    """Whether the phrasing is the published prompt, or its words stand in a paraphrase."""
    words = normalise(fill(phrasing.text, case.subject))
    return words == normalise(case.prompt) or any(words in normalise(text) for text in case.paraphrases)


def in_shipped_phrasings(data: Path, properties: Path | None) -> InAllPhrasings:
    """The wording in the shipped relations' edit phrasings (those of the watch list where a property is in both).

    Args:
        data: A CounterFact file; the published format names each case's property (``relation_id``).
        properties: Records with ``case_id`` and ``relation_id``, for the flattened format, which does not. None: there
            are none.

    Raises:
        DataError: A file can't be read, or no case has a property.
    """
    found = _properties(data) | (_properties(properties) if properties else {})
    if not found:
        raise DataError(
            f"{data}: no record names its relation, so there are no phrasings to choose.",
            next_step="Give the cases' relations: --relation-ids FILE, records with case_id and relation_id.",
        )
    relations = (*shipped_relations("library"), *shipped_relations("relations"))
    return InAllPhrasings(found, {relation.property: relation for relation in relations})


def _properties(path: Path) -> dict[str, str]:
    """The property of each case that has one, by the case's id."""
    found = {}
    for record in read_records(path):
        rewrite = record.fields.get("requested_rewrite")
        relation = (rewrite if isinstance(rewrite, dict) else record.fields).get("relation_id")
        if relation:
            found[str(record.fields.get("case_id"))] = str(relation)
    return found
