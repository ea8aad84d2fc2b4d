from __future__ import annotations

import os
import signal
import threading
import time
from datetime import timedelta

import pytest

from kbsync.domain.errors import Stopped
from kbsync.operations.progress import LogProgress
from kbsync.operations.stop import Deadline, Stop, on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noticed_where_progress_is_made(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with on_signals(Stop()) as stop:
        progress = LogProgress(stop)
        progress.start("work", 2)
        progress.advance()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped) as caught:
            progress.advance()
    assert number.name in caught.value.what
    assert caught.value.exit_code == 0
    assert signal.getsignal(number) is before


def test_a_second_interrupt_does_not_wait() -> None:
    with on_signals(Stop()), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_waiting_ends_with_the_request() -> None:
    stop = Stop()
    assert stop.wait(0.01) is False
    threading.Timer(0.05, stop.request, ["test"]).start()
    assert stop.wait(10) is True
    assert stop.wait() is True


def test_waiting_ends_with_a_signal_that_arrives_meanwhile() -> None:
    with on_signals(Stop()) as stop:
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert stop.wait(10) is True


def test_a_deadline_stops_what_is_not_done() -> None:
    parent = Stop()
    ample, short = Deadline(parent, timedelta(hours=1)), Deadline(parent, timedelta(milliseconds=20))
    progress = LogProgress(short)
    progress.start("work", 2)
    progress.advance()
    time.sleep(0.03)
    with pytest.raises(Stopped, match=r"deadline of 0:00:00\.02"):
        progress.advance()
    assert short.overdue and not parent.requested and not ample.requested
    parent.request("test")
    assert ample.requested and not ample.overdue
    with pytest.raises(Stopped, match="Stopped by test"):
        ample.check()


def test_a_hangup_wakes_and_stops_nothing() -> None:
    stop, heard = Stop(), []

    def hangup() -> None:
        heard.append("HUP")
        stop.wake()

    before = signal.getsignal(signal.SIGHUP)
    with on_signals(stop, hangup):
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGHUP]).start()
        assert stop.wait(10) is False
    assert heard == ["HUP"] and signal.getsignal(signal.SIGHUP) is before
