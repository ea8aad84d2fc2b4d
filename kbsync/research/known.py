"""Facts that a model is thought to know, to be traced: the format of ROME's ``known_1000.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbsync.research.cases import template_of
from kbsync.research.records import read_records


@dataclass(frozen=True, slots=True)
class KnownFact:
    """``template`` holds ``{}`` for ``subject``; ``answer`` follows it after one blank."""

    template: str
    subject: str
    answer: str


def read_known(path: Path) -> Iterator[KnownFact]:
    """Records with ``prompt`` and ``subject``, and the answer in ``attribute`` (or ``ground_truth``, as CounterFact's
    flat form has it). Raises ``DataError`` naming file, record and field."""
    for record in read_records(path):
        subject, prompt = record.text("subject"), record.text("prompt")
        answer = record.text("attribute" if "attribute" in record.fields else "ground_truth")
        yield KnownFact(template_of(prompt, subject, record.place), subject, answer)
