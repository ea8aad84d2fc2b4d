"""The figures of a demonstration, counted on a small world."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kbsync.bootstrap import App
from kbsync.demo.changes import Event
from kbsync.demo.figures import figures
from kbsync.operations.evidence import Figure
from kbsync.stages.cycle import CycleResult
from tests.support.stage_world import World


def event(kind: str, subject: str, prop: str, new: str = "") -> Event:
    return Event(kind=kind, subject=subject, property=prop, old="", new=new, text="")


def measured(world: World, first: CycleResult, second: CycleResult, *events: Event) -> dict[str, Figure]:
    app = cast(App, SimpleNamespace(relations=world.relations, ledger=world.ledger, store=world.store))
    return {figure.name: figure for figure in figures(app, first, second, events, 12.0)}


@pytest.fixture
def cycles(world: World) -> tuple[CycleResult, CycleResult]:
    return world.sync(), world.sync_with_new_government()


@pytest.mark.slow
def test_what_both_cycles_did_is_counted(world: World, cycles: Any) -> None:
    figures = measured(world, *cycles)
    values = {name: figure.value for name, figure in figures.items()}
    assert values["items watched"] == 3
    assert values["facts believed at first"] == 5
    assert (values["facts that the base knows"], values["share that the base knows"]) == (3, 0.6)
    assert values["facts edited over both versions"] == 3, "two heads of government at first, then another one"
    assert values["items fetched by the second pull"] == 1
    assert (values["version 2: change facts"], values["version 2: keep facts"]) == (1, 1)
    assert values["version 2: efficacy"] == 1.0
    assert figures["version 2: efficacy"].target == ">= 0.9" and figures["version 1: efficacy"].target is None
    assert values["version 2: perplexity change"] == 0.0


@pytest.mark.slow
def test_a_retracted_fact_that_is_still_there_and_a_believed_vandalism_are_told(world: World, cycles: Any) -> None:
    harmless = (event("retraction", "Q38", "P36"), event("vandalism", "Q142", "P6", "Q567"))
    figures = measured(world, *cycles, *harmless)
    assert figures["retracted facts still in version 2"].holds and figures["vandalised values believed"].holds
    harmful = (event("retraction", "Q183", "P6"), event("vandalism", "Q142", "P6", "Q30333"))
    figures = measured(world, *cycles, *harmful)
    assert figures["retracted facts still in version 2"].value == figures["vandalised values believed"].value == 1
    assert figures["vandalised values believed"].holds is False
