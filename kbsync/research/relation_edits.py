"""Which relations an edit fails on: a few facts of each are written with other answers of the same relation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.phrasing import fill
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.relations.few_shot import Pair
from kbsync.research.result_cache import EDITED_BY, ResultCache

if TYPE_CHECKING:
    from kbsync.research.relation_pairs import RelationData
    from kbsync.research.session import ResearchSession


@dataclass(frozen=True, slots=True)
class EditedRelations:
    """What one mass edit over all relations came to."""

    shares: dict[str, float]
    """By relation, the share of its written facts that greedy decoding says: the mean over the written prompt and,
    where there is one, another prompt that asks the same."""
    document: dict[str, Any]
    """What the evidence says."""


@dataclass(frozen=True, slots=True)
class _Fact:
    relation: str
    rewrite: Rewrite
    paraphrase: str


def edit_relations(
    session: ResearchSession, relations: Sequence[RelationData], count: int, seed: int
) -> EditedRelations:
    """Write ``count`` facts of each relation in one edit, with the session's first recipe, and ask for them."""
    facts = [fact for relation in relations for fact in _drawn(relation, count, seed)]
    line = session.algorithm(session.recipes[0])
    parts = ResultCache(session.artifacts, "linearity-edits", EDITED_BY)
    outcome = parts.make(
        lambda: _outcome(session, facts),
        model=session.app.loaded.fingerprint,
        recipe=line.recipe.fingerprint,
        texts=line.inputs,
        facts=[[fact.relation, fact.rewrite.id, fact.paraphrase] for fact in facts],
    )
    by_relation: dict[str, list[float]] = defaultdict(list)
    for fact, (prompt, paraphrase) in zip(facts, outcome["said"], strict=True):
        by_relation[fact.relation] += [float(prompt)] + ([float(paraphrase)] if fact.paraphrase else [])
    return EditedRelations(
        {name: fmean(values) for name, values in by_relation.items()},
        {
            "recipe": line.recipe.name,
            "facts": len(facts),
            "left_out": outcome["left_out"],
            "prompt": fmean(float(prompt) for prompt, _ in outcome["said"]),
            "paraphrase": fmean(float(p) for f, (_, p) in zip(facts, outcome["said"], strict=True) if f.paraphrase)
            if any(fact.paraphrase for fact in facts)
            else None,
        },
    )


def _outcome(session: ResearchSession, facts: Sequence[_Fact]) -> dict[str, Any]:
    app = session.app
    line = session.algorithm(session.recipes[0])
    edit = line.editor().edit([fact.rewrite for fact in facts], line.recipe, app.work)
    asked = [
        (prompt, fact.rewrite.target) for fact in facts for prompt in (fact.rewrite.prompt, fact.paraphrase or "x")
    ]
    with app.base.edited(edit.delta) as model:
        strict = [score.strict for score in model.scores(asked, work=app.work)]
    return {"said": list(zip(strict[::2], strict[1::2], strict=True)), "left_out": len(edit.report.left_out)}


def _drawn(relation: RelationData, count: int, seed: int) -> list[_Fact]:
    """Facts in a drawn order, each with the answer of the next one that has another; subjects occur once."""
    paraphrases = dict(zip(relation.pairs, relation.paraphrases or [""] * len(relation.pairs), strict=True))
    drawn = sorted(relation.pairs, key=lambda pair: content_hash([seed, "edit", *pair]))
    order = list({pair.subject: pair for pair in reversed(drawn)}.values())[::-1]
    facts = []
    for place, pair in enumerate(order[:count]):
        other: Pair | None = next((o for o in order[place + 1 :] + order[:place] if o.answer != pair.answer), None)
        if other is not None:
            rewrite = Rewrite(relation.template, pair.subject, other.answer)
            facts.append(_Fact(relation.name, rewrite, paraphrases[pair]))
    return [fact for fact in facts if fill(relation.template, fact.rewrite.subject) != fact.paraphrase]
