"""Processes that compete for the lease.

Each takes the lease, reads the number of the next job, sometimes stalls until the lease has run out, and then tries to
release that job. No job may be released twice, and no fencing token may be given out twice.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from kbsync.bootstrap.adapters import SystemClock
from kbsync.domain import audit
from kbsync.domain.errors import Busy, LeaseLost
from kbsync.domain.version import VersionState
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.ports import AuditReader
from kbsync.stages.session import WRITER
from kbsync.testing.samples import NOW, edit_plan
from tests.evidence.messages import say
from tests.support.postgres_server import shared

TTL = timedelta(milliseconds=400)
STALL = 0.15
"""Probability that a holder stalls until its lease has run out, and probability that it does not give it back."""


def contend(url: str, number: int, seed: int, seconds: float, out: Path) -> None:
    """What one process does; it writes its counts to ``out``."""
    draw, ledger, clock = random.Random(f"{seed} {number}"), SqlLedger(url), SystemClock()
    tokens, released, refused, busy, reads, slowest = [], [], 0, 0, 0, 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        with ledger.read() as tx:
            job = _next_job(tx)
        reads, slowest = reads + 1, max(slowest, time.monotonic() - begun)
        try:
            with ledger.write() as tx:
                lease = tx.acquire_lease(WRITER, f"process {number}", TTL, clock.now())
        except Busy:
            busy += 1
            time.sleep(draw.random() * 0.02)
            continue
        tokens.append(lease.token)
        with ledger.read() as tx:
            job = _next_job(tx)
        time.sleep(TTL.total_seconds() * 1.2 if draw.random() < STALL else draw.random() * 0.01)
        try:
            with ledger.write() as tx:
                tx.move_alias(f"job {job}", 1, lease, clock.now())
                tx.append_audit("promote", f"process {number}", {"job": job, "token": lease.token}, clock.now())
            released.append(job)
        except LeaseLost:
            refused += 1
        if draw.random() >= STALL:
            with ledger.write() as tx:
                tx.release_lease(lease)
    ledger.close()
    counts = {"tokens": tokens, "released": released, "refused": refused, "busy": busy, "reads": reads}
    out.write_text(json.dumps(counts | {"slowest_read": slowest}))


def _next_job(tx: AuditReader) -> int:
    newest = tx.newest_event("promote")
    return int(newest.body["job"]) + 1 if newest else 1


def measure(url: str, processes: int, seconds: float, seed: int, directory: Path) -> dict[str, Any]:
    """Let the processes compete on a new ledger at ``url``; returns the counts of all of them."""
    schema.upgrade(url)
    ledger = SqlLedger(url)
    with ledger.write() as tx:
        plan = edit_plan("Ada")
        tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
        tx.set_version_state(1, VersionState.CANDIDATE, version_hash="f" * 64)
    ledger.close()
    context = multiprocessing.get_context("spawn")
    files = [directory / f"{n}.json" for n in range(processes)]
    workers = [context.Process(target=contend, args=(url, n, seed, seconds, file)) for n, file in enumerate(files)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    by_worker = [json.loads(file.read_text()) for file in files]
    ledger = SqlLedger(url)
    with ledger.read() as tx:
        events = tx.audit(kind="promote")
        moved = Counter(e.body["job"] for e in events)
        assert all(len(tx.alias_moves(f"job {job}")) == count for job, count in moved.items())
        broken = audit.verify(tx.audit())
    ledger.close()
    tokens = Counter(t for worker in by_worker for t in worker["tokens"])
    in_order = [e.body["token"] for e in events]
    return {
        "double_releases": sum(count - 1 for count in moved.values()),
        "duplicate_tokens": sum(count - 1 for count in tokens.values()),
        "stale_releases": sum(a > b for a, b in pairwise(in_order)),
        "unaccounted": abs(sum(len(w["released"]) for w in by_worker) - len(events)),
        "broken": int(broken is not None),
        "releases": len(events),
        "leases": sum(tokens.values()),
        "refused": sum(w["refused"] for w in by_worker),
        "busy": sum(w["busy"] for w in by_worker),
        "reads": sum(w["reads"] for w in by_worker),
        "slowest_read": max(w["slowest_read"] for w in by_worker),
        "workers": sum(bool(w["released"]) for w in by_worker),
    }


def figures_of(backend: str, counts: dict[str, Any]) -> list[Figure]:
    must_be_zero = {
        "double_releases": "releases",
        "duplicate_tokens": "tokens",
        "stale_releases": "releases",
        "unaccounted": "releases",
        "broken": "chains",
    }
    zero = [
        at_most(f"{backend}: {name.replace('_', ' ')}", counts[name], unit, 0) for name, unit in must_be_zero.items()
    ]
    return [
        *zero,
        at_least(f"{backend}: releases", counts["releases"], "releases", 1),
        Figure(f"{backend}: leases given out", counts["leases"], "leases"),
        Figure(f"{backend}: releases refused to stalled holders", counts["refused"], "releases"),
        Figure(f"{backend}: turned away while another held the lease", counts["busy"], "times"),
        Figure(f"{backend}: slowest of {counts['reads']} reads", counts["slowest_read"], "s"),
    ]


def measure_contention(processes: int, seconds: float, seed: int) -> dict[str, Any]:
    """Let ``processes`` compete for ``seconds`` on SQLite, then on PostgreSQL; returns the evidence."""
    started, begun, figures = datetime.now(UTC), time.monotonic(), []
    for backend in ("sqlite", "postgresql"):
        say(f"{processes} processes for {seconds:g} s on {backend}")
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            url = f"sqlite:///{directory / 'ledger.db'}" if backend == "sqlite" else shared().database()
            figures += figures_of(backend, measure(url, processes, seconds, seed, directory))
    return evidence(
        f"python -m tests.evidence contention --processes {processes} --seconds {seconds:g}",
        figures,
        seed=seed,
        started=started,
        seconds=time.monotonic() - begun,
    )
