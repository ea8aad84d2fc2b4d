"""``python -m tests.evidence.soak.daemon CONFIG CLOCK``: runs what ``kbsync daemon`` runs, by the soak's clock."""

from __future__ import annotations

import sys
from pathlib import Path

from kbsync.config import load_all
from kbsync.daemon.daemon import Daemon
from kbsync.system import log
from kbsync.web.daemon_page import daemon_page
from tests.evidence.soak.clock import read_clock, scheduling_by


def main() -> None:
    config, clock = Path(sys.argv[1]), read_clock(Path(sys.argv[2]))
    configuration = load_all(config)
    log.set_up(configuration.settings.log.format, configuration.settings.log.level)
    with scheduling_by(clock):
        Daemon(configuration, lambda: load_all(config), page=daemon_page, clock=clock).run()


if __name__ == "__main__":
    main()
