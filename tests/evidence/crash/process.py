"""``kbsync`` in forked processes: torch and the model are loaded already, and a kill is a real SIGKILL."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kbsync.bootstrap
from kbsync.domain.announcement import Announcement
from kbsync.ledger.ledger import SqlLedger
from kbsync.model.load import LoadedModel
from kbsync.notifiers.command import CommandNotifier
from kbsync.stages.binding import Stages

STAGES = ("pull", "probe", "plan", "edit", "evaluate", "promote")


class Place:
    """Where a forked process is, in memory that its parent can read even after it was killed."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 256)

    def set(self, stage: str, count: int) -> None:
        self._shared.seek(0)
        self._shared.write(f"{count} {stage}".encode().ljust(256, b"\0"))

    @property
    def stage(self) -> str:
        return self._read().partition(" ")[2] or "before the first stage"

    @property
    def count(self) -> int:
        """How many places it has passed."""
        return int(self._read().partition(" ")[0] or 0)

    def _read(self) -> str:
        return self._shared[:256].rstrip(b"\0").decode()


def run_kbsync(config: Path, loaded: LoadedModel, *arguments: str) -> None:
    """Run the command line in this process with the loaded model; raises ``SystemExit`` at its end."""
    from kbsync.cli.main import build

    class Preloaded(kbsync.bootstrap.App):
        pass

    Preloaded.loaded = loaded  # type: ignore[assignment]
    kbsync.bootstrap.App = Preloaded  # type: ignore[misc]
    build()(["--config", str(config), "--quiet", *arguments], prog_name="kbsync")


def forked(action: Callable[[], Any], log: Path) -> int:
    """Run ``action`` in a forked process that writes to ``log``; returns the process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with log.open("ab", buffering=0) as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        action()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def waited(child: int) -> int:
    """Wait for the process; returns its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished(action: Callable[[], Any], log: Path, codes: tuple[int, ...] = (0,)) -> int:
    """Run ``action`` in a forked process to its end; raises ``AssertionError`` with its log for another exit code."""
    code = waited(forked(action, log))
    assert code in codes, f"exit {code}\n{log.read_text(errors='replace')[-3000:]}"
    return code


def processor_seconds(child: int) -> float:
    """Processor time that the process has used so far, on all its threads (Linux's clock of a process)."""
    return time.clock_gettime((~child << 3) | 2)


def killed_after(child: int, seconds: float) -> bool:
    """Send SIGKILL once the process has used so much processor time; returns False if it ended before."""
    while True:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        if processor_seconds(child) >= seconds:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    return waited(child) == -signal.SIGKILL


def watch(place: Place, die_at: int | None = None, at_place: Callable[[str], None] = lambda _: None) -> None:
    """Count the places that this (forked) process passes, and kill it at one of them.

    Places are: a stage begins, a stage has ended, before and after a commit, before and after a file gets its name,
    before and after a notifier is called.

    Args:
        place: Where the count is published.
        die_at: The number of the place at which the process kills itself; None: nowhere.
        at_place: Called at every place with its description.
    """
    passed, stage = 0, "before the first stage"

    def pass_by(what: str) -> None:
        nonlocal passed
        passed += 1
        place.set(f"{stage}: {what}", passed)
        at_place(f"{stage}: {what}")
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal stage
            stage = name
            pass_by("begins")
            result = function(*args, **kwargs)
            pass_by("has ended")
            return result

        return call

    for name in STAGES:
        setattr(Stages, name, around(name, getattr(Stages, name)))
    write, rename, replace = SqlLedger.write, Path.rename, Path.replace

    @contextlib.contextmanager
    def watched_write(self: SqlLedger) -> Iterator[Any]:
        with write(self) as tx:
            yield tx
            pass_by("a transaction is not committed yet")
        pass_by("a transaction is committed")

    def named(function: Callable[[Path, Any], Path]) -> Callable[[Path, Any], Path]:
        def call(self: Path, target: Any) -> Path:
            pass_by(f"{_kind(Path(target))} has no name yet")
            moved = function(self, target)
            pass_by(f"{_kind(Path(target))} has its name")
            return moved

        return call

    deliver = CommandNotifier.deliver

    def watched_deliver(self: CommandNotifier, announcement: Announcement) -> None:
        pass_by("a notifier is not called yet")
        deliver(self, announcement)
        pass_by("a notifier was called")

    CommandNotifier.deliver = watched_deliver  # type: ignore[method-assign]
    SqlLedger.write = watched_write  # type: ignore[method-assign]
    Path.rename, Path.replace = named(rename), named(replace)  # type: ignore[method-assign, assignment]


def _kind(target: Path) -> str:
    if "artifacts" in target.parts:
        return f"one of the {target.parts[target.parts.index('artifacts') + 1]}"
    if "published" in target.parts:
        return "what is published"
    return "a version" if "versions" in target.parts else target.name
