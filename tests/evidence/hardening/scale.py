"""What a plan and the checks cost in a ledger of a million facts: each in a process of its own, whose memory is
measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from kbsync.bootstrap.adapters import SystemClock
from kbsync.checkpoints.anchor import accept_trail
from kbsync.domain.recipe import Recipe
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.judged import LedgerFacts
from kbsync.stages.plan import PlanPolicy, plan
from kbsync.stages.session import Run
from tests.evidence.hardening.million import BASE, configured
from tests.support.paths import ROOT

LIMIT = 1_000
"""The most facts in one version, as ``edit.max_facts`` has it where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    seconds: float
    peak_bytes: int
    said: str
    """Its last line."""


def planned(url: str, directory: Path, limit: int = LIMIT) -> Cost:
    """Plan with all facts of the ledger, half of which have to be written; the plan is recorded."""
    return _cost([sys.executable, "-m", "tests.evidence.hardening.scale", url, str(directory), str(limit)], {})


def checked(url: str, directory: Path, verb: Sequence[str]) -> Cost:
    """Run ``kbsync audit verify`` or ``kbsync verify``; it has to find the ledger whole."""
    with closing(SqlLedger(url)) as ledger, ledger.read() as tx:
        accept_trail(directory / "state", tx)
    command = [sys.executable, "-m", "kbsync", "--config", str(directory / "kbsync.toml"), *verb]
    return _cost(command, {"KBSYNC_DATABASE_URL": url})


def _cost(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    begun, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=said, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            time.sleep(0.05)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}")
    return Cost(round(time.monotonic() - begun, 1), peak, text.strip().splitlines()[-1])


def _peak(pid: int) -> int:
    """The most memory that a process has had so far, in bytes; 0 once it has ended.

    ``ru_maxrss`` would not do: a new process begins with that of the one that started it.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main(url: str, directory: str, limit: str) -> None:
    """Make and record a plan, and print what it holds."""
    kinds = frozenset({VerdictKind.STALE, VerdictKind.UNKNOWN})
    policy = PlanPolicy(kinds=kinds, limit=int(limit), suspicion=Suspicion())
    recipe = Recipe(name="table", layers=(1, 2), guard_count=118)
    relations = configured(Path(directory)).relations
    with closing(SqlLedger(url)) as ledger, ledger.read() as tx:
        run = Run(ledger=ledger, clock=SystemClock(), work=Work(), actor="evidence")
        made = plan(run, LedgerFacts(tx, relations, BASE), recipe, policy).plan
    counted = made.counts
    sys.stdout.write(json.dumps({"add": counted.add, "refused": counted.refused, "guards": counted.guards}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
