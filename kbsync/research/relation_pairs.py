"""Relations with their pairs, from a file or from the ledger."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from kbsync.bootstrap import App
from kbsync.domain.errors import DataError
from kbsync.editing.relations.few_shot import Pair
from kbsync.research.cases import template_of
from kbsync.research.records import read_records
from kbsync.stages.facts import believed_facts


@dataclass(frozen=True, slots=True)
class RelationData:
    """A relation with pairs to choose from."""

    name: str
    template: str
    """Its prompt, with one ``{}``."""
    pairs: tuple[Pair, ...]
    paraphrases: tuple[str, ...] = ()
    """For each pair another prompt that asks the same, in full; empty: there are none."""


def read_relations(path: Path) -> list[RelationData]:
    """Relations from records with ``relation_id``, ``prompt``, ``subject`` and ``target_true`` (or ``attribute``,
    ``ground_truth``); of each relation, the template that occurs most. Records whose ``relation_id`` is null are passed
    over. Raises ``DataError``."""
    found: dict[str, dict[str, dict[Pair, str]]] = defaultdict(lambda: defaultdict(dict))
    for record in read_records(path):
        if "relation_id" in record.fields and record.fields["relation_id"] is None:
            continue
        subject, prompt = record.text("subject"), record.text("prompt")
        name = next((n for n in ("target_true", "attribute", "ground_truth") if n in record.fields), "target_true")
        pair = Pair(subject, record.text(name))
        template = template_of(prompt, subject, record.place)
        other = record.fields.get("paraphrase")
        found[record.text("relation_id")][template].setdefault(pair, other.strip() if isinstance(other, str) else "")
    relations = []
    for name, templates in sorted(found.items()):
        template, pairs = max(templates.items(), key=lambda item: (len(item[1]), item[0]))
        relations.append(RelationData(name, template, tuple(pairs), tuple(pairs.values())))
    return relations


def ledger_relations(app: App) -> list[RelationData]:
    """The watched relations with their believed facts. Raises ``DataError`` where there are none."""
    with app.ledger.read() as tx:
        watched = believed_facts(tx, app.framed, app.loaded.fingerprint).watched
    pairs: dict[str, list[Pair]] = defaultdict(list)
    templates = {}
    for relation, fact in watched.values():
        templates[relation.name] = relation.prompt_template
        if fact.subject_label and fact.answers[0].label:
            pairs[relation.name].append(Pair(fact.subject_label, fact.answers[0].label))
    if not pairs:
        raise DataError("The ledger holds no believed fact.", next_step="Run `kbsync pull`, or name a file.")
    return [RelationData(name, templates[name], tuple(pairs[name])) for name in sorted(pairs)]
