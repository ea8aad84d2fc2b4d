"""What long work is handed: it shows how far it has come, and says where it may be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kbsync.ports.progress import Progress

Check = Callable[[], None]
"""Is called at every checkpoint; raises if the work must not go on (``Stopped``, ``LeaseLost``)."""


class Work:
    """A display and the checks that are made where stopping is safe.

    Long work calls ``advance`` after each item, and ``checkpoint`` between two items wherever one of them takes long.
    """

    def __init__(self, progress: Progress | None = None, checks: Iterable[Check] = ()) -> None:
        """Without ``progress`` nothing is shown; without ``checks`` nothing stops the work."""
        self.progress = progress or _Unseen()
        self._checks = tuple(checks)

    def start(self, step: str, total: int | None) -> None:
        """Show that a step of ``total`` items (None: unknown) begins; a checkpoint."""
        self.progress.start(step, total)
        self.checkpoint()

    def advance(self, count: int = 1) -> None:
        """Show that ``count`` more items are done; a checkpoint."""
        self.progress.advance(count)
        self.checkpoint()

    def finish(self, note: str = "") -> None:
        """Show that the step has ended."""
        self.progress.finish(note)

    def checkpoint(self) -> None:
        """Say that the work may be stopped here: a stop request is noticed, and a lease is renewed.

        Raises:
            Stopped: a stop was asked for.
            LeaseLost: another process holds the lease by now.
        """
        try:
            for check in self._checks:
                check()
        except BaseException:
            self.progress.abandon()
            raise

    def checked_by(self, check: Check) -> Work:
        """The same work with one more check, made after the others."""
        return Work(self.progress, (*self._checks, check))

    def shown_by(self, progress: Progress) -> Work:
        """The same work on another display."""
        return Work(progress, self._checks)


class _Unseen(Progress):
    def start(self, step: str, total: int | None) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def finish(self, note: str = "") -> None: ...

    def abandon(self) -> None: ...


UNWATCHED = Work()
"""Work that nobody watches and nothing stops."""
