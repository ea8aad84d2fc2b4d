"""What the configuration says of the stages."""

from __future__ import annotations

from kbsync.config.settings import Settings
from kbsync.domain.bisect import SearchLimits
from kbsync.stages.binding import StageSettings
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.evaluate.served_figures import as_served
from kbsync.stages.plan import PlanPolicy
from kbsync.stages.release.canary import CanaryPolicy


def stage_settings(settings: Settings) -> StageSettings:
    """The settings of every stage of a site."""
    edit, gate = settings.edit, settings.gate
    specificity = (threshold.min_samples for threshold in gate.thresholds if threshold.metric == "specificity")
    return StageSettings(
        answer_tokens=settings.model.base_answer_tokens,
        plan=PlanPolicy(
            kinds=frozenset(edit.verdicts),
            limit=edit.max_facts,
            suspicion=edit.suspicion,
            consequences=edit.consequences,
        ),
        gate=as_served(gate.policy, settings.evaluate.served_as),
        evaluation=EvaluationSize(
            paraphrases=gate.paraphrases,
            known=gate.known,
            robustness=gate.robustness,
            neighbours=gate.neighbours,
            enough=max(specificity, default=0),
            hops=gate.hops,
            texts=gate.texts,
            text_tokens=gate.text_tokens,
        ),
        search=SearchLimits(builds=gate.builds, culprits=gate.culprits) if gate.bisect else None,
        pause=gate.pause,
        canary=CanaryPolicy(count=gate.canaries, max_drop=gate.canary_drop),
    )
