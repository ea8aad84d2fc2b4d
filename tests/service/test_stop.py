from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from kbsync.domain.errors import Stopped
from kbsync.service.progress import LogProgress
from kbsync.service.stop import Stop, on_signals


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
