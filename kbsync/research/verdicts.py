"""How well answers are judged: the judge beside labels that were given by hand, on answers it was not written on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from kbsync.domain.errors import DataError
from kbsync.domain.judging import Judgement, Said, judge
from kbsync.domain.verdict import VerdictKind, kind_of
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.research.records import Record, file_hash, read_records

TARGET = 0.99
LEAST_LABELLED = 800
DEMO_MISTAKES = 1
JUDGED = (VerdictKind.CURRENT, VerdictKind.STALE, VerdictKind.UNKNOWN)


class Part(StrEnum):
    """What an answer may be used for."""

    RULES = "rules"
    """The rules of the judge were written on it."""
    HELD_OUT = "held_out"
    """It only ever measures them."""


class Origin(StrEnum):
    """Where the fact and its names come from."""

    DEMO = "demo"
    """A verdict of the demonstration, on the model that it edits."""
    ASKED = "asked"
    """A fact of the demonstration, asked in other words or of another model."""
    LIBRARY = "library"
    """A fact of a relation of the library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledAnswer:
    """A real answer of a model, and what a person read in it."""

    origin: Origin
    part: Part
    prompt: str
    continuation: str
    right: tuple[str, ...]
    former: tuple[str, ...]
    label: Said

    def judged(self) -> Judgement:
        """What the judge reads in it."""
        return judge(self.continuation, self.right, self.former, prompt=self.prompt)


@dataclass(frozen=True, slots=True)
class Score:
    """How often the judge agrees with the label, for one kind of verdict."""

    agreed: int
    judged: int
    """Answers that the judge gives this verdict."""
    labelled: int
    """Answers whose label gives this verdict."""

    @property
    def precision(self) -> float:
        return self.agreed / self.judged if self.judged else 0.0

    @property
    def recall(self) -> float:
        return self.agreed / self.labelled if self.labelled else 0.0


def read_labelled(path: Path) -> list[LabelledAnswer]:
    """Read labelled answers; raises ``DataError`` naming file, record and field."""
    return [_labelled(record) for record in read_records(path)]


_Named = TypeVar("_Named", Origin, Part, Said)


def _labelled(record: Record) -> LabelledAnswer:
    continuation = record.fields.get("continuation")
    if not isinstance(continuation, str):
        raise DataError(f"{record.place}: 'continuation' must be text, not {continuation!r}.")
    return LabelledAnswer(
        origin=_one_of(Origin, record, "origin"),
        part=_one_of(Part, record, "part"),
        prompt=record.text("prompt"),
        continuation=continuation,
        right=record.texts("right"),
        former=record.texts("former"),
        label=_one_of(Said, record, "label"),
    )


def _one_of(kind: type[_Named], record: Record, field: str) -> _Named:
    text = record.text(field)
    try:
        return kind(text)
    except ValueError:
        names = ", ".join(member.value for member in kind)
        raise DataError(f"{record.place}: {field!r} must be one of {names}, not {text!r}.") from None


def scores(answers: Iterable[LabelledAnswer]) -> dict[VerdictKind, Score]:
    """Compare the judge with the labels, by kind of verdict."""
    pairs = Counter((kind_of(answer.judged().said), kind_of(answer.label)) for answer in answers)
    return {
        kind: Score(
            pairs[kind, kind],
            sum(count for (judged, _), count in pairs.items() if judged is kind),
            sum(count for (_, labelled), count in pairs.items() if labelled is kind),
        )
        for kind in JUDGED
    }


def mistakes(answers: Iterable[LabelledAnswer]) -> list[LabelledAnswer]:
    """The answers to which the judge gives another verdict than their label."""
    return [answer for answer in answers if kind_of(answer.judged().said) is not kind_of(answer.label)]


def measure_verdicts(path: Path) -> dict[str, Any]:
    """Measure the judge on the labelled answers in ``path``, as evidence."""
    started, clock = datetime.now(UTC), time.monotonic()
    answers = read_labelled(path)
    held_out = scores(a for a in answers if a.part is Part.HELD_OUT)
    rules = scores(a for a in answers if a.part is Part.RULES)
    demo = [a for a in answers if a.origin is Origin.DEMO]
    return evidence(
        "kbsync bench verdicts",
        _figures(held_out, len(answers), len(mistakes(demo))),
        seed=0,
        started=started,
        seconds=time.monotonic() - clock,
        data={"records": len(answers), "demo": len(demo), "sha256": file_hash(path)},
        held_out=_table(held_out),
        rules=_table(rules),
    )


def _figures(held_out: dict[VerdictKind, Score], labelled: int, wrong: int) -> Sequence[Figure]:
    return [
        *(at_least(f"precision.{kind}", score.precision, "share", TARGET) for kind, score in held_out.items()),
        *(at_least(f"recall.{kind}", score.recall, "share", TARGET) for kind, score in held_out.items()),
        at_least("labelled", labelled, "answers", LEAST_LABELLED),
        at_most("demo.wrong", wrong, "facts", DEMO_MISTAKES),
    ]


def _table(by_kind: dict[VerdictKind, Score]) -> dict[str, dict[str, float]]:
    """Counts and shares of one part; of the part that the rules were written on they flatter the judge."""
    return {
        kind.value: {
            "agreed": score.agreed,
            "judged": score.judged,
            "labelled": score.labelled,
            "precision": round(score.precision, 4),
            "recall": round(score.recall, 4),
        }
        for kind, score in by_kind.items()
    }
