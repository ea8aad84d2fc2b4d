"""Consistency: does what the model writes about a subject resemble texts about other bearers of the new fact?

TF-IDF cosine between generated text and reference texts (Meng et al., NeurIPS 2022, section 3.2).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.research.records import read_records

_TERM = re.compile(r"\b\w\w+\b")

References = Mapping[tuple[str, str], tuple[str, ...]]
"""Reference texts by (relation, id of the target), as ``P140, Q432``."""


def read_references(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Read CounterFact's attribute snippets: records of ``relation_id``, ``target_id`` and ``samples`` with ``text``.

    Raises ``DataError`` with file and record number for a record of another shape.
    """
    references: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in read_records(path):
        samples = record.fields.get("samples")
        if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
            raise DataError(f"{record.place}: 'samples' must be a list of objects with 'text'.")
        key = record.text("relation_id"), record.text("target_id")
        references[key] = tuple(record.text("text", of=sample) for sample in samples)
    return references


class TfIdf:
    """Term weights from a collection of texts: tf · (ln((1 + n) / (1 + df)) + 1).

    Terms are runs of two or more word characters, in lower case. A term that the collection does not hold has weight 0.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ``DataError`` if there is no text: nothing can be compared then."""
        document_counts = [set(_terms(text)) for text in texts]
        if not document_counts:
            raise DataError(
                "Consistency can't be measured without reference texts.",
                next_step="Give a file of attribute snippets, or leave consistency out.",
            )
        counts = Counter(term for document in document_counts for term in document)
        total = len(document_counts)
        self._idf = {term: math.log((1 + total) / (1 + count)) + 1 for term, count in counts.items()}

    def cosine(self, one: str, other: str) -> float:
        """Cosine of the two texts' weight vectors, 0 to 1; 0 where one of them has no known term."""
        a, b = self._weights(one), self._weights(other)
        norm = math.hypot(*a.values()) * math.hypot(*b.values())
        return sum(weight * b.get(term, 0.0) for term, weight in a.items()) / norm if norm else 0.0

    def _weights(self, text: str) -> dict[str, float]:
        counts = Counter(_terms(text))
        return {term: count * self._idf[term] for term, count in counts.items() if term in self._idf}


def _terms(text: str) -> list[str]:
    return _TERM.findall(text.lower())


class Consistency:
    """Compares a case's generated texts with the reference texts of its new target.

    ``key`` is a hash of the references.
    """

    def __init__(self, references: References) -> None:
        """Raises ``DataError`` if ``references`` is empty."""
        self.key = content_hash([[*pair, *texts] for pair, texts in sorted(references.items())])
        self._references = references
        self._tfidf = TfIdf(text for texts in references.values() for text in texts)

    def score(self, generated: Iterable[str], relation: str, target_id: str, case: str) -> float:
        """Cosine between all generated texts, joined, and all references, joined; times 100.

        Raises ``DataError``, which names ``case``, if its target has no references.
        """
        texts = self._references.get((relation, target_id))
        if not texts:
            raise DataError(
                f"Case {case}: no reference texts for relation {relation!r} and target {target_id!r}.",
                next_step="Consistency needs CounterFact as published and its attribute snippets; else leave it out.",
            )
        return 100 * self._tfidf.cosine(" ".join(generated), " ".join(texts))
