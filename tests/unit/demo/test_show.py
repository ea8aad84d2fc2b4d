"""What the demonstration prints: labels from the world are text, whatever they hold."""

from __future__ import annotations

import io

from rich.console import Console

from kbsync.demo import show
from kbsync.domain.verdict import VerdictKind
from kbsync.stages.cycle import CycleResult
from tests.support.stage_world import World


def printed() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=200, force_terminal=False), stream


def cycle_of(world: World) -> CycleResult:
    return world.sync()


def test_the_gate_s_figures_stand_beside_the_base_s(world: World) -> None:
    result = cycle_of(world)
    console, stream = printed()
    show.gate(console, [result])
    lines = stream.getvalue().splitlines()
    efficacy = next(line for line in lines if "efficacy" in line)
    assert "0.000" in efficacy and "1.000" in efficacy and "version 1" in efficacy


def test_each_verdict_has_a_column_of_its_own() -> None:
    assert list(show.COLUMNS) == list(VerdictKind)
    assert len(set(show.COLUMNS.values())) == len(VerdictKind)


def test_a_missed_target_is_said_to_be_missed() -> None:
    console, stream = printed()
    figures = [
        {"name": "elapsed", "value": 400.0, "unit": "s", "target": "<= 360", "holds": False},
        {"name": "facts", "value": 80.0, "unit": "facts", "target": ">= 60", "holds": True},
        {"name": "relations", "value": 19.0, "unit": "relations", "target": None, "holds": None},
    ]
    show.figures(console, {"figures": figures})
    lines = stream.getvalue().splitlines()
    assert "missed" in next(line for line in lines if "elapsed" in line)
    assert all("missed" not in line for line in lines if "elapsed" not in line)
