"""``[edit]`` and ``[tune]``: what is edited, and with which recipe."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from kbsync.config.recipe_file import AUTO
from kbsync.config.section import Section
from kbsync.config.values import Duration, Text
from kbsync.config.values import unique as no_doubles
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind


def _editable(kind: VerdictKind) -> VerdictKind:
    if kind not in (VerdictKind.SHAKY, VerdictKind.STALE, VerdictKind.UNKNOWN):
        raise ValueError(f"{kind.value} facts are not edited; choose of 'shaky', 'stale' and 'unknown'")
    return kind


Editable = Annotated[VerdictKind, AfterValidator(_editable)]


class EditSettings(Section):
    """What is edited, and how."""

    recipe: Text = AUTO
    """A name in ``recipes_dir``, the path of a recipe file, or ``auto``: the recipe that is found for the base."""
    verdicts: Annotated[tuple[Editable, ...], Field(min_length=1), AfterValidator(no_doubles)] = (
        VerdictKind.STALE,
        VerdictKind.UNKNOWN,
    )
    """Facts with these verdicts are edited."""
    max_facts: Annotated[int, Field(ge=1)] = 1000
    """Largest number of facts in one version."""
    max_new_per_subject: Annotated[int, Field(ge=1)] = 20
    """More new facts about one subject at once are left to a person."""
    max_surprise: Annotated[float, Field(gt=0)] = 4.0
    """An answer that costs the base more nats per byte, and twice its relation's usual, is left to a person."""

    consequences: bool = False
    """Whether the second hops that relation files name under ``implies`` are written beside a fact that is edited."""

    @property
    def suspicion(self) -> Suspicion:
        """What a plan leaves to a person."""
        return Suspicion(per_subject=self.max_new_per_subject, surprise=self.max_surprise)


class TuneSettings(Section):
    """How a recipe is found where ``edit.recipe`` is ``auto``."""

    budget: Duration = timedelta(minutes=20)
    """How long the search should take on this machine."""
