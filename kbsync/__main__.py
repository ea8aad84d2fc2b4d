"""``python -m kbsync`` is the same as ``kbsync``."""

from kbsync.cli.main import run

if __name__ == "__main__":
    run()
