"""A lease is taken from a holder that is provably dead, and from no other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.bootstrap.adapters import SystemClock
from kbsync.domain import audit
from kbsync.domain.errors import Busy, LeaseLost
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.session import Run, writer
from kbsync.system.process_identity import is_gone, process_label, this_process
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401
from tests.support.paths import ROOT

TTL = timedelta(minutes=10)
HOLDS = """
import sys, time
from datetime import timedelta
from kbsync.bootstrap.adapters import SystemClock
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.session import Run, writer
with writer(Run(SqlLedger(sys.argv[1]), SystemClock(), Work(), "victim"), timedelta(minutes=10)):
    print("holds", flush=True)
    time.sleep(60)
"""


def parts() -> list[str]:
    here = this_process()
    assert here is not None
    return here.split("/")


def test_people_read_the_host_and_the_number() -> None:
    assert process_label() == f"{socket.gethostname()} pid {os.getpid()}"


def test_this_process_lives() -> None:
    assert parts()[2] == str(os.getpid())
    assert this_process() == this_process() and not is_gone(this_process())


@pytest.mark.parametrize("place", [0, 1])
def test_of_another_boot_or_container_nothing_can_be_told(place: int) -> None:
    other = parts()
    other[2] = "999999999"
    assert is_gone("/".join(other)), "nobody has that number here"
    other[place] = "elsewhere"
    assert not is_gone("/".join(other))


@pytest.mark.parametrize("nonsense", [None, "", "one on host pid 7", "a/b/c", "a/b/c/d", "////"])
def test_what_cannot_be_read_is_not_gone(nonsense: str | None) -> None:
    assert not is_gone(nonsense)


def test_a_number_that_was_given_again_is_another_process() -> None:
    other = parts()
    other[3] = str(int(other[3]) - 1)
    assert is_gone("/".join(other))


def test_a_killed_process_is_gone_before_its_parent_reaps_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    process = "/".join([*parts()[:2], str(child.pid), stat[19]])
    assert not is_gone(process)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(process), "only its exit status is left"
    child.communicate()
    assert is_gone(process)


def test_without_proc_nothing_can_be_told(tmp_path: Path) -> None:
    assert this_process(tmp_path) is None
    assert not is_gone(this_process(), tmp_path)


@pytest.mark.slow
def test_the_next_writer_takes_over_from_a_killed_one_at_once(ledger: SqlLedger, ledger_url: str) -> None:  # noqa: F811
    run = Run(ledger, SystemClock(), Work(), "survivor")
    command = [sys.executable, "-c", HOLDS, ledger_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None and victim.stdout.readline() == "holds\n"
        with pytest.raises(Busy, match=f"pid {victim.pid} holds"), writer(run, TTL):
            pass
        victim.kill()
        victim.wait()
        with writer(run, TTL) as held:
            assert held.lease.token == 2 and f"pid {victim.pid}" in held.lease.taken_from
            with ledger.write() as tx:
                now = run.clock.now()
                tx.renew_lease(held.lease, TTL, now)
                dead = replace(held.lease, holder=held.lease.taken_from, token=1)
                with pytest.raises(LeaseLost):
                    tx.renew_lease(dead, TTL, now)
    with ledger.read() as tx:
        events = tx.audit()
    assert [(e.kind, e.actor, e.body["token"]) for e in events] == [("takeover", "survivor", 2)]
    assert f"pid {victim.pid}" in events[0].body["from"] and audit.verify(events) is None
