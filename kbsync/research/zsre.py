"""zsRE question answering in MEND's format (Mitchell et al., ICLR 2022; Levy et al., CoNLL 2017).

As in the MEMIT paper (section 5.2.1), a case writes the right answer, ``answers[0]``. The neighbour is an unrelated
question of Natural Questions, whose answer must stay as likely as it was.
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
    """A right answer to write."""

    answers: tuple[str, ...]
    """All that count as right in free generation."""
    neighbour_answer: str
    """The answer to ``neighbours[0]``."""


def read_zsre(path: Path) -> Iterator[ZsreCase]:
    """Read one case at a time. The format has no ids, so a case's id is its position in the file, from 0.

    Raises:
        DataError: A field is missing or empty, or the subject is not in its prompt. Names file and record.
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
