"""Versions that are swapped under a load of requests, and killed between the steps of a swap, with real llama.cpp
processes on a small model."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from statistics import median

from kbsync.operations.evidence import Figure, at_most
from tests.evidence.messages import say
from tests.support.served_world import make_served_world
from tests.support.swapping import STEPS, Killed, swapping


def measure_swaps(moves: int) -> list[Figure]:
    """Promote and roll back ``moves`` times under load, then kill a swap at each of its steps."""
    seconds, lost, kills = [], 0, 0
    with tempfile.TemporaryDirectory() as directory:
        world = make_served_world(Path(directory) / "world")
        with swapping(world, Path(directory) / "site") as site:
            site.engine().deliver(site.announcement(1, 1))
            with site.load():
                for move in range(2, moves + 2):
                    version, begun = 1 + move % 2, time.monotonic()
                    site.engine().deliver(site.announcement(3 - version, move))
                    seconds.append(time.monotonic() - begun)
                    lost += not site.answers(3 - version)
                for step in range(1, STEPS + 1):
                    version = 1 + step % 2
                    with contextlib.suppress(Killed):
                        site.engine(dies_at=step).deliver(site.announcement(version, 1000 + step))
                    kills += 1
                    site.engine().deliver(site.announcement(version, 1000 + step))
                    lost += not site.answers(version) or site.processes != 1
            say(f"{site.requests} requests, errors {site.errors[:3]}")
            return [
                at_most("swap.errors", len(site.errors), f"of {site.requests} requests", 0),
                Figure("swap.moves", len(seconds), "moves"),
                Figure("swap.seconds", round(median(seconds), 2), "s"),
                Figure("swap.kills", kills, "kills"),
                at_most("swap.lost", lost, "moves", 0),
            ]
