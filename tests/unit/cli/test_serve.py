"""``kbsync serve`` as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.cli import Cli
from tests.support.paths import ROOT


@pytest.mark.slow
def test_it_serves_until_it_is_stopped(cli: Cli, tmp_path: Path) -> None:
    cli.world.sync()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KBSYNC_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kbsync", "--config", str(cli.config), "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found, process.communicate()
        with urlopen(found[0] + "readyz", timeout=30) as answer:
            assert json.load(answer) == {"ready": True, "reasons": []}
        with urlopen(found[0] + "metrics", timeout=30) as answer:
            assert b"kbsync_version_current 1.0" in answer.read()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in err, err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_a_taken_port_is_said(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("serve", "--port", str(port))
    assert result.code == 74
    assert f"can't listen on 127.0.0.1 port {port}" in result.err and "another web.port" in result.err


def test_without_the_extra_it_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = cli("serve", "--port", "0")
    assert result.code == 78 and "pip install 'kbsync[web]'" in result.err
