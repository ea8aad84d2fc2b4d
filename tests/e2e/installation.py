"""An installation of kbsync as a user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbsync.wikidata.local import OxigraphServer

LEASE_SECONDS = 12


@dataclass
class Site:
    """A user's installation: a configuration file, and the command line on it."""

    config: Path
    server: OxigraphServer

    def kbsync(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command as a process of its own, and check its exit code."""
        command = [sys.executable, "-m", "kbsync", "--config", str(self.config), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.kbsync(*arguments, "--json", code=code).stdout)
