"""The status page of a running daemon."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time
from urllib.request import urlopen

import pytest

from kbsync.config import WebSettings
from kbsync.daemon import daemon
from kbsync.web.daemon_page import daemon_page
from tests.support.daemon_service import Service

PARTS = ("last: ", "next: ", "version 1")
"""What the page says once a run has promoted a version."""


@pytest.mark.slow
def test_the_page_is_served_while_the_daemon_runs(service: Service) -> None:
    settings = service.configuration.settings
    web = WebSettings.model_validate({"enabled": True, "port": 0})
    found = dataclasses.replace(service.configuration, settings=settings.model_copy(update={"web": web}))
    seen: list[str] = []

    def look() -> None:
        give_up = time.monotonic() + 60
        while not service.current and time.monotonic() < give_up:
            time.sleep(0.05)
        (line,) = service.logged("status page")
        page = read(line["address"])
        # Between two ticks the page may name the last run and no next one yet.
        while not all(part in page for part in PARTS) and time.monotonic() < give_up:
            time.sleep(0.05)
            page = read(line["address"])
        seen.extend((page, read(line["address"] + "metrics"), read(line["address"] + "readyz")))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=look)
    thread.start()
    daemon.Daemon(found, page=daemon_page).run()
    thread.join()
    page, metrics, ready = seen
    assert [part for part in PARTS if part not in page] == []
    assert 'kbsync_cycles_total{outcome="promoted"} 1.0' in metrics
    assert json.loads(ready) == {"ready": True, "reasons": []}


def read(address: str) -> str:
    with urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())
