"""One cycle of a site whose base is a text-to-image pipeline: ask, plan, edit, evaluate, promote.

Plans, versions, the gate's decisions and the alias are those of every site: what differs is how the base is asked
(``ConceptReader``), what is written (``ConceptEditor``), and which figures are measured. Facts come from the ledger,
as ``kbsync pull`` put them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kbsync.bootstrap import App
from kbsync.domain.errors import DataError, KbsyncError, NotFound
from kbsync.domain.fact import Answer, Fact, FactKey
from kbsync.domain.gate import Threshold
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.plan import EditPlan
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import Evidence, Reply, Verdict, VerdictKey, VerdictKind, ambiguity
from kbsync.domain.version import PromptOutcome
from kbsync.operations.picture_measurement import PictureMeasurement
from kbsync.stages.edit import edit
from kbsync.stages.evaluate.evaluate import evaluate
from kbsync.stages.facts import BelievedFacts, WatchedFact, believed_facts
from kbsync.stages.plan import PlanPolicy, plan
from kbsync.stages.release.promote import current_number, promote
from kbsync.stages.session import Run

if TYPE_CHECKING:
    from kbsync.editing.images.pipeline import TextToImage
    from kbsync.editing.images.reading import ConceptReader
    from kbsync.model.delta import FactorDelta

POLICY = (Threshold(metric="efficacy", at_least=0.95), Threshold(metric="specificity", at_least=0.95))
"""What a version must hold: edited names are drawn as their facts say, names that were right stay so."""
EDITED_KINDS = frozenset({VerdictKind.STALE, VerdictKind.UNKNOWN})
_UNTOUCHED = "The ledger and all versions stay as they are."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a relation's facts are asked of a pipeline."""

    relation: Relation
    concept: str
    """The prompt of a subject, with one ``{}`` for it: ``the flag of {}``."""
    guide: str
    """The description of a value, with one ``{}`` for it: ``the {} flag``."""

    def __post_init__(self) -> None:
        for name, template in (("concept", self.concept), ("guide", self.guide)):
            if template.count("{}") != 1:
                raise DataError(f"The {name} {template!r} must hold one {{}}.", kept=_UNTOUCHED)

    @property
    def worded(self) -> Relation:
        """The relation as a pipeline is asked."""
        return replace(self.relation, phrasings=from_templates(self.concept), probed=1)

    def described(self, fact: Fact) -> Fact:
        """The fact with descriptions in place of its values' names."""

        def answer(one: Answer) -> Answer:
            return replace(one, label=fill(self.guide, one.label) if one.label else None, aliases=())

        return replace(fact, answers=tuple(map(answer, fact.answers)), former=tuple(map(answer, fact.former)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFact:
    """One fact, and what the pipeline draws."""

    fact: str
    """Item and property."""
    subject: str
    description: str
    """What is to be drawn."""
    base: str
    """What the base draws."""
    version: str
    """What the version draws; empty where it was not asked."""
    change: str
    """`edited`, `preserved`, or empty: neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesView:
    """What a cycle did, or would do."""

    version: int
    """0: there was nothing to edit."""
    hash: str
    edited: int
    preserved: int
    promoted: bool
    reasons: tuple[str, ...]
    """What the gate says of each figure."""
    facts: tuple[PictureFact, ...]


def cycle(
    app: App,
    image: TextToImage,
    wording: Wording,
    recipe: Recipe,
    *,
    policy: Sequence[Threshold] = POLICY,
    rehearse: bool = False,
) -> ImagesView:
    """Ask the base, write what it draws wrongly, and make the version current if it passes the gate.

    Args:
        app: The site.
        image: Its pipeline.
        wording: The relation, and how it is asked.
        recipe: See ``concept_recipe``.
        policy: What a version must hold.
        rehearse: End after the plan.

    Raises:
        NotFound: The ledger holds no believed fact of the relation.
        KbsyncError: The site's versions are of another base.
    """
    from kbsync.editing.images.editor import ConceptEditor
    from kbsync.editing.images.reading import ConceptReader

    with app.writer() as writer:
        run = writer.run
        _require_base(run, image.fingerprint)
        facts = _facts(run, wording, image.fingerprint)
        reader = ConceptReader(image, _descriptions(facts), work=run.work)
        facts = _judged(run, facts, reader, image)
        planned = plan(run, facts, recipe, PlanPolicy(kinds=EDITED_KINDS))
        if not planned.plan.requests or rehearse:
            return _view(facts, planned.plan, ())
        if not planned.plan.changes:
            return _standing(run, facts, planned.plan)
        built = edit(run, planned.plan_hash, recipe, ConceptEditor(image), app.store)
        measurement = PictureMeasurement(image=image, reader=reader, facts=facts)
        measured = evaluate(run, built.version.number, measurement, app.store, policy)
        passed = measured.evaluation.decision.passed
        if passed:
            promote(writer, app.store, built.version.number)
        return replace(
            _view(facts, planned.plan, measured.evaluation.outcomes),
            version=built.version.number,
            hash=built.version.version_hash or "",
            promoted=passed,
            reasons=tuple(reason.text for reason in measured.evaluation.decision.reasons),
        )


def _require_base(run: Run, fingerprint: str) -> None:
    with run.ledger.read() as tx:
        others = {version.base_fingerprint for version in tx.versions()} - {fingerprint}
    if others:
        raise KbsyncError(
            "This site holds versions of another base.",
            kept=_UNTOUCHED,
            next_step="Give each pipeline a site of its own: `kbsync init` in another directory.",
        )


def _facts(run: Run, wording: Wording, fingerprint: str) -> BelievedFacts:
    """The relation's facts with descriptions in place of names, and the verdicts on this pipeline."""
    with run.ledger.read() as tx:
        named = believed_facts(tx, [wording.relation], fingerprint)
        watched = {
            key: WatchedFact(wording.worded, wording.described(fact)) for key, (_, fact) in named.watched.items()
        }
        if not watched:
            raise NotFound(
                f"The ledger holds no believed fact of the relation {wording.relation.name}.",
                kept=_UNTOUCHED,
                next_step="`kbsync pull` fetches statements; they are believed after the relation's trust time.",
            )
        return replace(named, watched=watched).judged(tx)


def _descriptions(facts: BelievedFacts) -> list[str]:
    """All that a name may be drawn as: what holds or held for any subject."""
    answers = [a.label for _, fact in facts.watched.values() for a in (*fact.answers, *fact.former)]
    return sorted({label for label in answers if label})


def _judged(run: Run, facts: BelievedFacts, reader: ConceptReader, image: TextToImage) -> BelievedFacts:
    """Ask the base for every fact without a verdict, and record what it draws."""
    unjudged = facts.unjudged
    reasons = {fact.key: ambiguity(fact, single=True) or _flaw(image, fact, r) for r, fact in unjudged}
    asked = [(r, fact) for r, fact in unjudged if not reasons[fact.key]]
    answers = reader.read([r.prompt(fact.subject_label or "") for r, fact in asked])
    drawn: Mapping[FactKey, str] = {fact.key: answer for (_, fact), answer in zip(asked, answers, strict=True)}
    verdicts = [
        _verdict(VerdictKey.of(r, fact, image.fingerprint), r, fact, drawn.get(fact.key), reasons[fact.key])
        for r, fact in unjudged
    ]
    with run.ledger.write() as tx:
        tx.record_verdicts(verdicts, run.clock.now())
    with run.ledger.read() as tx:
        return facts.judged(tx)


def _flaw(image: TextToImage, fact: Fact, relation: Relation) -> str:
    prompts = [relation.prompt(fact.subject_label or ""), *(a.label or "" for a in fact.answers)]
    return next((flaw for prompt in prompts if (flaw := image.flaw(prompt))), "")


def _verdict(key: VerdictKey, relation: Relation, fact: Fact, drawn: str | None, reason: str) -> Verdict:
    if drawn is None:
        return Verdict(key=key, kind=VerdictKind.AMBIGUOUS, evidence=Evidence(reason=reason))
    kind = VerdictKind.UNKNOWN
    for meant, answers in ((VerdictKind.STALE, fact.former), (VerdictKind.CURRENT, fact.answers)):
        if drawn in [a.label for a in answers]:
            kind = meant
    reply = Reply(prompt=relation.prompt(fact.subject_label or ""), greedy=drawn, kind=kind, matched=drawn)
    return Verdict(key=key, kind=kind, evidence=Evidence(replies=(reply,)))


def _standing(run: Run, facts: BelievedFacts, planned: EditPlan) -> ImagesView:
    """Nothing changed: what is current holds all facts."""
    with run.ledger.read() as tx:
        version = tx.version(planned.predecessor)
        evaluation = tx.evaluation(planned.predecessor)
    view = _view(facts, planned, evaluation.outcomes if evaluation else ())
    return replace(view, version=planned.predecessor, hash=(version and version.version_hash) or "", promoted=True)


def _view(facts: BelievedFacts, planned: EditPlan, outcomes: Sequence[PromptOutcome]) -> ImagesView:
    written, preserved = {r.key for r in planned.requests}, {g.key for g in planned.guards}
    said = {(o.subject, o.property): o.answer for o in outcomes}
    rows = tuple(
        PictureFact(
            fact=str(key),
            subject=fact.subject_label or "",
            description=fact.answers[0].label or "",
            base=facts.verdicts[key].evidence.greedy,
            version=said.get((key.subject, key.property), ""),
            change="edited" if key in written else "preserved" if key in preserved else "",
        )
        for key, (_, fact) in facts.watched.items()
    )
    return ImagesView(
        version=0, hash="", edited=len(written), preserved=len(preserved), promoted=False, reasons=(), facts=rows
    )


def version_delta(app: App, number: int) -> FactorDelta | None:
    """The factors of a version; None for 0, the base.

    Raises:
        NotFound: There is no such version.
    """
    from kbsync.views.status import built_version

    if not number:
        return None
    with app.ledger.read() as tx:
        version = built_version(tx, number)
    return app.store.read(version.version_hash or "").delta


def current_or(app: App, number: int | None) -> int:
    """The number itself; for None, that of the current version (0: the base)."""
    with app.ledger.read() as tx:
        return current_number(tx) if number is None else number
