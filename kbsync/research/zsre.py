"""zsRE question answering in MEND's format (Mitchell et al., ICLR 2022; Levy et al., CoNLL 2017).

As in the MEMIT paper (section 5.2.1) a case writes the right answer, ``answers[0]``, and the neighbour is an unrelated
Natural Questions question whose answer must stay as likely as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbsync.domain.errors import DataError
from kbsync.research.cases import Case, template_of
from kbsync.research.records import read_records

NAME = "zsre"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZsreCase(Case):
    """``answers`` are all that count as right in free generation; ``neighbour_answer`` belongs to ``neighbours[0]``."""

    answers: tuple[str, ...]
    neighbour_answer: str


def read_zsre(path: Path) -> Iterator[ZsreCase]:
    """Stream the cases; a case's id is its place in the file, from 0, as the format has none.

    Raises ``DataError`` with file and record number: a field is missing or empty, or the subject is not in its prompt.
    """
    for record in read_records(path):
        subject, answers = record.text("subject"), record.texts("answers")
        if not answers:
            raise DataError(f"{record.place}: 'answers' holds no answer.")
        yield ZsreCase(
            benchmark=NAME,
            id=str(record.number - 1),
            subject=subject,
            template=template_of(record.text("src"), subject, record.place),
            target=answers[0],
            paraphrases=(record.text("rephrase"),),
            neighbours=(record.text("loc") + "?",),
            answers=answers,
            neighbour_answer=record.text("loc_ans"),
        )
