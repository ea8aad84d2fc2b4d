"""Suites without passes of the model: the solve, bytes on the disk, a full checkpoint, memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch
from safetensors.torch import save

from kbsync.checkpoints.exporters.hf import export_hf
from kbsync.editing.common.cholesky import factorise
from kbsync.editing.memit.solve import closed_form as solve
from kbsync.editing.memit.targets import WINDOW
from kbsync.model.delta import FactorDelta
from kbsync.operations.evidence import Figure, at_most
from kbsync.system.durable import sync
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import Duel, Lap, lap
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Scratch, Workshop
from tests.support.paths import ROOT


def closed_form(size: SuiteSize) -> list[Figure]:
    """Time Δ for N facts at width d with a stored factor, beside LU in float64, on made-up numbers."""
    draw = torch.Generator().manual_seed(0)
    d, n = size.width, size.rank
    x = torch.randn(d, d + 64, dtype=torch.float64, generator=draw)
    C = x @ x.T / (d + 64)
    K, R = (torch.randn(rows, n, dtype=torch.float64, generator=draw) for rows in (d, max(n, 64)))
    factor = factorise(C)
    wanted: list[torch.Tensor] = []
    duel = Duel()

    def baseline() -> Lap:
        with lap() as running:
            wanted[:] = [torch.linalg.solve(100.0 * C + K @ K.T, K)]
        return Lap(running.wall, running.cpu)

    def ours() -> Lap:
        with lap() as running:
            found = solve(factor, 100.0, K, R)
        made[:] = [found.left @ found.right]
        return Lap(running.wall, running.cpu)

    made: list[torch.Tensor] = []
    for _ in range(max(2, size.rounds)):
        duel.round(baseline, ours)
    plain = R @ wanted[0].T
    gap = float((made[0] - plain).norm() / plain.norm())
    return [*duel.figures("solve", f"s for N = {n} at d = {d}", 10), at_most("solve.difference", gap, "share", 1e-8)]


def storage(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Measure the bytes of a version of up to 100 facts, and time a full checkpoint beside copying the base's bytes."""
    count = min(size.inserted, 100)
    delta = shop.edit(facts(count), shop.brief(), Scratch(shop.session.artifacts)).edit.delta
    assert isinstance(delta, FactorDelta)
    factors = {
        f"{n}.{side}": t for n, pair in delta.factors.items() for side, t in zip(("left", "right"), pair, strict=True)
    }
    stored = len(save(factors))
    base = sum(p.stat().st_size for p in shop.loaded.directory.iterdir() if p.is_file())
    duel = Duel()
    with TemporaryDirectory(dir=shop.session.app.settings.state_dir) as room:

        def copied() -> Lap:
            target = Path(room) / "copy"
            with lap() as running:
                shutil.copytree(shop.loaded.directory, target)
                for path in target.iterdir():
                    sync(path)
            shutil.rmtree(target)
            return Lap(running.wall, running.cpu, base)

        def materialised() -> Lap:
            target = Path(room) / "full"
            with lap() as running:
                export_hf(shop.loaded, delta, target)
            written = sum(p.stat().st_size for p in target.iterdir())
            shutil.rmtree(target)
            return Lap(running.wall, running.cpu, written)

        for _ in range(max(2, size.rounds)):
            duel.round(copied, materialised)
    return [
        at_most("disk.share", stored / base, f"share of the base, {count} facts", 0.02),
        Figure("disk.bytes", stored, "bytes"),
        *duel.figures("materialise", "s a byte", 0.7),
    ]


def memory(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Measure the peak memory of an edit in its own process, above that of the process without a model."""
    weights, two = _weights(shop), _two_covariances(shop)
    told = _edit_apart(shop, size, WINDOW)
    return [
        at_most("memory.share", (told["peak"] - told["empty"]) / (weights + two), "of weights + 2 covariances", 1.25),
        Figure("memory.peak", told["peak"], "bytes"),
        Figure("memory.loaded", told["loaded"], "bytes, the peak when the model was loaded"),
        Figure("memory.empty_process", told["empty"], "bytes"),
        Figure("memory.weights", weights, "bytes"),
        Figure("memory.two_covariances", two, "bytes"),
        Figure("memory.search_seconds", told["search"] / size.facts, "s a fact"),
    ]


def windows(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """The same memory with fewer facts searched at once, and how much longer that takes."""
    bound = _weights(shop) + _two_covariances(shop)
    found = []
    for window in (WINDOW // 2, WINDOW // 4):
        fewer = _edit_apart(shop, size, window)
        found += [
            Figure(f"memory.share_at_{window}", (fewer["peak"] - fewer["empty"]) / bound, "of the same"),
            Figure(f"memory.search_seconds_at_{window}", fewer["search"] / size.facts, "s a fact"),
        ]
    return found


def _weights(shop: Workshop) -> int:
    return sum(p.numel() * p.element_size() for p in shop.loaded.model.parameters())


def _two_covariances(shop: Workshop) -> int:
    return 2 * int(shop.layers[0].down.weight.shape[1]) ** 2 * 8


def _edit_apart(shop: Workshop, size: SuiteSize, window: int) -> dict[str, float]:
    told: dict[str, float] = shop.parts.make(f"memory.{window}", lambda: _measured_apart(shop, size, window))
    return told


def _measured_apart(shop: Workshop, size: SuiteSize, window: int) -> dict[str, float]:
    asked = {
        "model": str(shop.loaded.directory),
        "recipe": {n: getattr(shop.recipe, n) for n in shop.recipe.__dataclass_fields__},
        "artifacts": shop.session.artifacts.storage.where(),
        "fingerprint": shop.loaded.fingerprint,
        "texts": [str(p) for p in shop.session.app.settings.text.corpus],
        "facts": size.facts,
        "window": window,
    }
    command = [sys.executable, "-m", "tests.evidence.speed.one_edit"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"the edit in a process of its own failed: {done.stderr[-400:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])  # the lines before it are logs
    return measured


def resident() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)
