"""CounterFact (Meng et al., NeurIPS 2022, section 3.2), as published or flattened to one prompt of each kind.

A case writes something false (``target`` instead of ``true``), so that the model can't have known it before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbsync.domain.errors import DataError
from kbsync.research.cases import Case, template_of
from kbsync.research.records import Record, read_records

NAME = "counterfact"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterfactCase(Case):
    """A false answer to write in place of the true one."""

    true: str
    """The right answer to the prompt *and* to the ``neighbours``, which are other subjects with the same answer."""
    generation: tuple[str, ...] = ()
    """Prompts that begin the texts whose fluency is measured."""
    relation: str = ""
    """Wikidata id. With ``target_id`` it finds the reference texts of the consistency score; the flattened format has
    neither."""
    target_id: str = ""


def read_counterfact(path: Path) -> Iterator[CounterfactCase]:
    """Read one case at a time, in either format.

    Raises:
        DataError: A field is missing or empty, the subject is not in its prompt, both targets are the same, or a case
            id occurs twice. Names file and record.
    """
    seen: set[str] = set()
    for record in read_records(path):
        case = _published(record) if "requested_rewrite" in record.fields else _flattened(record)
        if case.target == case.true:
            raise DataError(f"{record.place}: case {case.id} has the same new and true target {case.true!r}.")
        if case.id in seen:
            raise DataError(f"{record.place}: case {case.id} occurs a second time.")
        seen.add(case.id)
        yield case


def _published(record: Record) -> CounterfactCase:
    rewrite = record.fields["requested_rewrite"]
    if not isinstance(rewrite, dict):
        raise DataError(f"{record.place}: 'requested_rewrite' must be an object.")
    template = record.text("prompt", of=rewrite)
    if template.count("{}") != 1:
        raise DataError(f"{record.place}: the prompt {template!r} must hold {{}} once, for the subject.")
    new, true = rewrite.get("target_new"), rewrite.get("target_true")
    if not isinstance(new, dict) or not isinstance(true, dict):
        raise DataError(f"{record.place}: 'target_new' and 'target_true' must be objects with 'str'.")
    return CounterfactCase(
        benchmark=NAME,
        id=_case_id(record),
        subject=record.text("subject", of=rewrite),
        template=template,
        target=record.text("str", of=new),
        true=record.text("str", of=true),
        paraphrases=record.texts("paraphrase_prompts"),
        neighbours=record.texts("neighborhood_prompts"),
        generation=record.texts("generation_prompts"),
        relation=str(rewrite.get("relation_id", "")),
        target_id=str(new.get("id", "")),
    )


def _flattened(record: Record) -> CounterfactCase:
    subject, true = record.text("subject"), record.text("ground_truth")
    neighbour_answer = record.text("locality_ground_truth")
    if neighbour_answer != true:
        raise DataError(
            f"{record.place}: the neighbour's answer {neighbour_answer!r} is not the true target {true!r}, "
            "with which CounterFact's specificity is defined."
        )
    return CounterfactCase(
        benchmark=NAME,
        id=_case_id(record),
        subject=subject,
        template=template_of(record.text("prompt"), subject, record.place),
        target=record.text("target_new"),
        true=true,
        paraphrases=(record.text("rephrase_prompt"),),
        neighbours=(record.text("locality_prompt"),),
    )


def _case_id(record: Record) -> str:
    number = record.fields.get("case_id")
    if not isinstance(number, int):
        raise DataError(f"{record.place}: 'case_id' must be a whole number, not {number!r}.")
    return str(number)
