"""Facts to trace, which a model probably knows, in the format of ROME's ``known_1000.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbsync.research.cases import template_of
from kbsync.research.records import read_records


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact with its prompt."""

    template: str
    """The prompt, with ``{}`` for the subject."""
    subject: str
    answer: str
    """What follows the prompt, without the blank between them."""


def read_known(path: Path) -> Iterator[KnownFact]:
    """Read records with ``prompt``, ``subject`` and ``attribute`` (in CounterFact's flat form ``ground_truth``).

    Raises:
        DataError: A record has another shape. Names file, record and field.
    """
    for record in read_records(path):
        subject, prompt = record.text("subject"), record.text("prompt")
        answer = record.text("attribute" if "attribute" in record.fields else "ground_truth")
        yield KnownFact(template_of(prompt, subject, record.place), subject, answer)
