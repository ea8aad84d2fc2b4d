from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from kbsync.system.stop_request import StopRequest, on_signals


def test_a_second_interrupt_does_not_wait() -> None:
    with on_signals(StopRequest()), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_the_first_reason_stays() -> None:
    stop = StopRequest()
    assert not stop.requested
    stop.request("SIGTERM")
    stop.request("SIGINT")
    assert stop.requested and stop.reason == "SIGTERM"


def test_waiting_ends_with_the_request() -> None:
    stop = StopRequest()
    assert stop.wait(0.01) is False
    threading.Timer(0.05, stop.request, ["test"]).start()
    assert stop.wait(10) is True
    assert stop.wait() is True


def test_waiting_ends_with_a_signal_that_arrives_meanwhile() -> None:
    with on_signals(StopRequest()) as stop:
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert stop.wait(10) is True


def test_a_hangup_wakes_and_stops_nothing() -> None:
    stop, heard = StopRequest(), []

    def hangup() -> None:
        heard.append("HUP")
        stop.wake()

    before = signal.getsignal(signal.SIGHUP)
    with on_signals(stop, hangup):
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGHUP]).start()
        assert stop.wait(10) is False
    assert heard == ["HUP"] and signal.getsignal(signal.SIGHUP) is before
