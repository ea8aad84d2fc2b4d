"""The daemon's life in this process: it starts at once, tries again, and ends where it can't work."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from kbsync.daemon import daemon
from kbsync.domain.errors import SchemaError, SourceDown
from kbsync.web.daemon_page import daemon_page
from tests.support.daemon_service import Service


@pytest.mark.slow
def test_the_first_cycle_starts_at_once_and_ticks_try_again(service: Service) -> None:
    service.world.source.fail_next(SourceDown("It is down."))

    def stop_when_promoted() -> None:
        give_up = time.monotonic() + 60
        while not service.current and time.monotonic() < give_up:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_when_promoted).start()
    daemon.Daemon(service.configuration, page=daemon_page).run()
    assert service.current == 1
    assert len(service.logged("cycle failed")) == 1
    (failed, *_) = service.logged("waiting")
    assert failed["last"] == "failed: It is down." and failed["next"].endswith("UTC")
    assert service.logged("daemon stopped")


def test_a_ledger_that_no_tick_can_heal_ends_the_daemon_at_once(service: Service, tmp_path: Path) -> None:
    (tmp_path / "state" / "ledger.sqlite3").unlink()
    with pytest.raises(SchemaError):
        daemon.Daemon(service.configuration, page=daemon_page).run()
