"""``kbsync switch`` as a process of its own; what it forwards is tried with real servers in test_served.py."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from tests.support.paths import ROOT
from tests.support.site import Site


@pytest.fixture
def engine(site: Site) -> Site:
    """A site whose versions llama.cpp serves."""
    with site.config.open("a") as file:
        file.write('[release]\npublish = "gguf"\n[release.engine]\nkind = "llama.cpp"\ncommand = ["llama", "{port}"]\n')
    return site


@pytest.mark.slow
def test_it_forwards_until_it_is_stopped(engine: Site) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KBSYNC_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kbsync", "--config", str(engine.config), "switch", "--port", "0"]
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, process.communicate()
        answer = httpx2.post(found[0] + "/v1/completions", json={}, timeout=30)
        assert answer.status_code == 503 and "`kbsync notify --again` starts one" in answer.text
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in err, err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_a_taken_port_is_said(engine: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = engine("switch", "--port", str(taken.getsockname()[1]))
    assert result.code == 74 and "can't listen" in result.err


@pytest.mark.parametrize("kind", ["", "vllm"])
def test_there_must_be_something_to_forward_to(site: Site, kind: str) -> None:
    if kind:
        with site.config.open("a") as file:
            file.write(f'[release]\npublish = "lora"\n[release.engine]\nkind = "{kind}"\nurl = "http://127.0.0.1:9"\n')
    result = site("switch", "--port", "0")
    assert result.code == 78 and 'it needs kind = "llama.cpp"' in result.err


def test_a_port_that_there_is_not(engine: Site) -> None:
    assert engine("switch", "--port", "70000").code == 2
