"""Measures versions of a text-to-image pipeline by what they draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbsync.domain.fact import Fact
from kbsync.domain.gate import Metric
from kbsync.domain.verdict import Evidence, VerdictKind
from kbsync.domain.version import PromptOutcome
from kbsync.stages.evaluate.measurement import Batch, Measured
from kbsync.stages.evaluate.metrics import shares
from kbsync.stages.evaluate.predecessor import Predecessor
from kbsync.stages.evaluate.question import EDITED, NEIGHBOUR
from kbsync.stages.facts import BelievedFacts

if TYPE_CHECKING:
    from kbsync.editing.images.pipeline import TextToImage
    from kbsync.editing.images.reading import ConceptReader
    from kbsync.ports import Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMeasurement:
    """Measures versions of a pipeline: names that were edited, and names that the base drew rightly."""

    image: TextToImage
    reader: ConceptReader
    facts: BelievedFacts

    def candidate(self, delta: Delta, batch: Batch, number: int, before: Predecessor) -> Measured:
        """Every edited name, and every name that the base draws rightly and that the edit did not preserve."""
        from kbsync.model.delta import FactorDelta, norm_growth

        if not isinstance(delta, FactorDelta):
            raise TypeError(f"pictures are drawn by factors, not {type(delta).__name__}")
        written, preserved = {r.key for r in batch.requests}, {g.key for g in batch.guards}
        asked = [
            (EDITED if key in written else NEIGHBOUR, fact, self.facts.verdicts[key].evidence)
            for key, (_, fact) in self.facts.watched.items()
            if key in written or (self.facts.verdicts[key].kind is VerdictKind.CURRENT and key not in preserved)
        ]
        answers = self.reader.read([evidence.prompt for _, _, evidence in asked], delta)
        outcomes = tuple(
            _outcome(group, fact, evidence, answer, before)
            for (group, fact, evidence), answer in zip(asked, answers, strict=True)
        )
        growth = norm_growth(self.image.denoiser, delta)
        most = Metric(name="norm_growth", value=max(growth.values()), base=0.0, samples=len(growth))
        return Measured(metrics=(*shares(outcomes, number), most), outcomes=outcomes, norm_growth=growth)


def _outcome(group: str, fact: Fact, evidence: Evidence, answer: str, before: Predecessor) -> PromptOutcome:
    right = [a.label for a in fact.answers]
    return PromptOutcome(
        group=group,
        subject=fact.key.subject,
        property=fact.key.property,
        prompt=evidence.prompt,
        expected=right[0] or "",
        base_answer=evidence.greedy,
        answer=answer,
        base_right=evidence.greedy in right,
        right=answer in right,
        since=before.first_holders.get(fact.key, 0) if group == EDITED else 0,
    )
