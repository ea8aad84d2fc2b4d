"""How many workers a cluster has room for. What the executor does is tested on a real cluster (tests/conformance)."""

from __future__ import annotations

from typing import Any

import pytest

from kbsync.executors.ray_executor import ONE_CPU, Resources


def node(*, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("resources", "room"),
    [
        (ONE_CPU, 6),
        (Resources(cpus=2), 3),
        (Resources(cpus=3), 1),
        (Resources(cpus=5), 0),
        (Resources(gpus=1), 1),
        (Resources(gpus=0.5), 2),
        (Resources(memory=1000), 3),
    ],
)
def test_room_is_counted_by_machine(resources: Resources, room: int) -> None:
    nodes = [node(CPU=4.0, GPU=1.0, memory=2000.0), node(CPU=2.0, memory=1500.0), node(alive=False, CPU=64.0), node()]
    assert resources.room(nodes) == room


def test_what_a_worker_needs_is_said() -> None:
    assert Resources(cpus=2, memory=5).as_text() == "cpus 2, memory 5"
