from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from functools import partial

import pytest

from kbsync.domain.errors import Stopped
from kbsync.operations.stop import Deadline, check_stop
from kbsync.ports import Work
from kbsync.system.stop_request import StopRequest, on_signals
from kbsync.views.progress import LogProgress


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noticed_where_progress_is_made(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with on_signals(StopRequest()) as stop:
        work = Work(LogProgress(), [partial(check_stop, stop)])
        work.start("work", 2)
        work.advance()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped) as caught:
            work.advance()
    assert number.name in caught.value.what
    assert caught.value.exit_code == 0
    assert signal.getsignal(number) is before


def test_a_deadline_stops_what_is_not_done() -> None:
    stop = StopRequest()
    ample, short = Deadline(timedelta(hours=1)), Deadline(timedelta(milliseconds=20))
    work = Work(LogProgress(), [partial(check_stop, stop), short.check])
    work.start("work", 2)
    work.advance()
    time.sleep(0.03)
    with pytest.raises(Stopped, match=r"deadline of 0:00:00\.02"):
        work.advance()
    ample.check()
    assert short.overdue and not stop.requested and not ample.overdue
    stop.request("test")
    with pytest.raises(Stopped, match="Stopped by test"):
        work.checkpoint()
