"""How facts are answered in each form of phrasing, for tables that show the forms side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kbsync.domain.gate import Metric
from kbsync.domain.phrasing import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """One form; None: not measured."""

    form: str
    edited: Metric | None
    """Edited facts."""
    known: Metric | None
    """Facts that the base knows."""
    kept: Metric | None
    """What is still right of the base's right answers to these."""


def by_form(metrics: Iterable[Metric]) -> list[FormView]:
    """The forms that were measured, the edited prompt first."""
    named = {metric.name: metric for metric in metrics}
    prompt = FormView(form="edited prompt", edited=named.get("efficacy"), known=None, kept=None)
    held_out = [
        FormView(
            form=form,
            edited=named.get(f"generalization_{form}"),
            known=named.get(f"known_{form}"),
            kept=named.get(f"known_kept_{form}"),
        )
        for form in Form
    ]
    return [view for view in (prompt, *held_out) if view.edited or view.known]
