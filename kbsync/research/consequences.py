"""Two-hop questions after an edit of the first hop, with the consequences written and without.

Subjects whose first hop the base knows are given another object whose second hop it knows, too. A few subjects at a
time are written into the base, once alone and once with what follows, as a plan makes it. Both are asked for the second
hop in phrasings that no edit writes. The base is asked the same of its own pairs, of which it knows both hops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import plain
from kbsync.domain.errors import DataError
from kbsync.domain.fact import FactKey
from kbsync.domain.judging import asserts
from kbsync.domain.phrasing import Use
from kbsync.domain.plan import EditPlan
from kbsync.domain.recipe import Recipe
from kbsync.domain.verdict import VerdictKind
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.ports import LanguageModel
from kbsync.research.result_cache import EDITED_BY, ResultCache
from kbsync.research.session import ResearchSession, shown_reference
from kbsync.research.two_hops import Part, choose_parts, followed, known_facts
from kbsync.research.written_facts import PhrasingsExtent, Site, open_site
from kbsync.stages.consequences import Consequence
from kbsync.stages.evaluate.question import ask, names_of
from kbsync.stages.plan import PlanPolicy, draft

COMMAND = "kbsync bench consequences"
FEWEST = 100
"""Number of two-hop questions that the figures should rest on."""
BASE, WITH, WITHOUT = "base", "with", "without"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsequencesExtent:
    """How much is written and asked."""

    questions: int = 110
    """So many second hops of edited subjects are asked for, or a few more, if there are so many."""
    together: int = 10
    """The most subjects that are edited together."""
    answer_tokens: int = 10
    reported: int = 20
    """The most wrong answers that the evidence shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and the answers to it."""

    relation: str
    prompt: str
    names: tuple[str, ...]
    """Right answers."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """By who gave them: ``BASE``, or the base after an edit ``WITH`` consequences or ``WITHOUT``."""

    def is_right(self, by: str) -> bool:
        """Whether this answer is right."""
        return asserts(self.answers[by], self.names, prompt=self.prompt)


def run_consequences(session: ResearchSession, directory: Path, extent: ConsequencesExtent) -> dict[str, Any]:
    """Edit and ask; returns the evidence document.

    Args:
        session: Its first recipe is what facts are written with.
        directory: The state directory of a demonstration.
        extent: How much is written and asked.

    Raises:
        DataError: The directory holds no ledger, or the model knows too little of it.
        EditError: An edit fails.
        Stopped: A stop was asked for; finished parts are kept.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    with open_site(session, directory, PhrasingsExtent(answer_tokens=extent.answer_tokens)) as site:
        known = known_facts(site.facts)
        real = followed(known, known.watched)
        parts = choose_parts(known, real, extent.questions, extent.together)
        if not real or not parts:
            raise DataError(
                "The model knows both hops of nothing, or no other object.",
                next_step="Name a ledger with other facts, and relations whose files have [[implies]].",
            )
        trial = Trial(site, session.recipes[0], extent.answer_tokens)
        unedited = trial.unedited(real)
        edited = [asked for part in parts for asked in trial.ask(part)]
        return evidence(
            COMMAND,
            figures_of(edited, unedited, sum(len(part.asked) for part in parts)),
            seed=trial.recipe.seed,
            started=started,
            seconds=time.monotonic() - begun,
            model={
                "reference": shown_reference(site.app.settings.model.reference),
                "fingerprint": site.app.base.fingerprint,
            },
            recipe=plain(trial.recipe) | {"fingerprint": trial.recipe.fingerprint},
            data={
                "ledger_sha256": site.ledger_sha256,
                "known": len(known.watched),
                "known_in_two_hops": len(real),
                "edits": len(parts),
                "subjects": sum(len(part.subjects) for part in parts),
                "prompts": len(edited),
                "prompts_unedited": len(unedited),
            },
            relations=by_relation(edited, unedited),
            missed=missed(edited, extent.reported),
        )


def figures_of(edited: Sequence[Asked], unedited: Sequence[Asked], questions: int) -> list[Figure]:
    """The figures, under the names that the evidence has."""
    rate = share(unedited, BASE)
    return [
        at_least("multihop.with", share(edited, WITH), "share", rate),
        Figure("multihop.without", share(edited, WITHOUT), "share"),
        Figure("multihop.unedited", rate, "share"),
        at_least("questions", questions, "questions", FEWEST),
    ]


def share(asked: Sequence[Asked], by: str) -> float:
    """The share of right answers."""
    return sum(one.is_right(by) for one in asked) / len(asked) if asked else 0.0


def by_relation(edited: Sequence[Asked], unedited: Sequence[Asked]) -> dict[str, dict[str, float]]:
    """The same shares by pair of relations, with the number of prompts after an edit."""
    found = {}
    for name in sorted({one.relation for one in edited}):
        own, known = ([one for one in group if one.relation == name] for group in (edited, unedited))
        found[name] = {way: share(own, way) for way in (WITH, WITHOUT)} | {"prompts": len(own)}
        found[name] |= {"unedited": share(known, BASE)} if known else {}
    return found


def missed(edited: Sequence[Asked], most: int) -> list[dict[str, str]]:
    """Wrong answers with consequences, for people who want to know what is behind the figure."""
    wrong = (one for one in edited if not one.is_right(WITH))
    told = [{"prompt": one.prompt, "expected": one.names[0], "answer": one.answers[WITH]} for one in wrong]
    return told[:most]


class Trial:
    """Edits the base and asks it; finished parts are kept."""

    def __init__(self, site: Site, recipe: Recipe, answer_tokens: int) -> None:
        self.recipe = recipe
        self._site = site
        self._tokens = answer_tokens
        self._cache = ResultCache(site.session.artifacts, "consequences", (*EDITED_BY, "stages"))

    def unedited(self, real: Mapping[FactKey, Consequence]) -> list[Asked]:
        """Ask the base for what follows from its facts as they are."""
        asked = _questions(real)
        answers = self._kept("", asked, lambda prompts: self._complete(self._site.app.base.language_model(), prompts))
        return _answered(asked, {BASE: answers})

    def ask(self, part: Part) -> list[Asked]:
        """Edit the base in both ways, and ask for the second hops."""
        asked = _questions(part.asked)
        plans = {WITHOUT: self._planned(part, False), WITH: self._planned(part, True)}
        answers = {
            way: self._kept(planned.build_hash, asked, partial(self._edited, planned)) for way, planned in plans.items()
        }
        return _answered(asked, answers)

    def _planned(self, part: Part, consequences: bool) -> EditPlan:
        """What a plan makes of the facts with this recipe: the subjects' facts, and perhaps what follows from them."""
        policy = PlanPolicy(kinds=frozenset({VerdictKind.UNKNOWN}), consequences=consequences)
        return draft(self._site.app.run, part.facts, self.recipe, policy)

    def _edited(self, planned: EditPlan, prompts: Sequence[str]) -> list[str]:
        app = self._site.app
        editor = app.editor(self.recipe, self._site.session.artifacts, list(app.corpus))
        edit = editor.edit(planned.requests, self.recipe, app.work, guards=planned.guards)
        with app.base.edited(edit.delta) as model:
            return self._complete(model, prompts)

    def _complete(self, model: LanguageModel, prompts: Sequence[str]) -> list[str]:
        return model.complete(prompts, max_new_tokens=self._tokens, work=self._site.app.work)

    def _kept(self, build: str, asked: Sequence[Asked], answer: Callable[[list[str]], list[str]]) -> list[str]:
        """The answers of one edit (``build`` is empty: of the base), which are kept."""
        prompts = [one.prompt for one in asked]
        known: list[str] = self._cache.make(
            lambda: answer(prompts),
            base=self._site.app.base.fingerprint,
            build=build,
            prompts=prompts,
            answer_tokens=self._tokens,
        )
        return known


def _questions(asked: Mapping[FactKey, Consequence]) -> list[Asked]:
    """Every second hop in the phrasings that no edit writes."""
    return [
        Asked(
            relation=relation.name,
            prompt=ask(relation, phrasing, fact.subject_label or ""),
            names=names_of(fact),
        )
        for relation, fact, _ in (asked[key].judged for key in sorted(asked))
        for phrasing in relation.of(Use.HELD_OUT)
    ]


def _answered(asked: Sequence[Asked], answers: Mapping[str, Sequence[str]]) -> list[Asked]:
    return [
        Asked(
            relation=one.relation,
            prompt=one.prompt,
            names=one.names,
            answers={way: own[place] for way, own in answers.items()},
        )
        for place, one in enumerate(asked)
    ]
