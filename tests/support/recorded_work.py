"""Work that records its calls, and stops where a test wants."""

from __future__ import annotations

from kbsync.ports import Work


class RecordedWork(Work):
    """Raises ``error`` at the ``stop_at``-th advance, or at the ``cut_at``-th checkpoint between two of them."""

    def __init__(
        self, stop_at: int | None = None, error: BaseException | None = None, *, cut_at: int | None = None
    ) -> None:
        super().__init__()
        self.steps: list[tuple[str, int | None]] = []
        self.advances = self.items = self.finished = self.checkpoints = 0
        self._stop_at, self._cut_at, self._error = stop_at, cut_at, error

    @property
    def stages(self) -> list[str]:
        """The names of the steps, in order."""
        return [name for name, _ in self.steps]

    def start(self, step: str, total: int | None) -> None:
        self.steps.append((step, total))

    def advance(self, count: int = 1) -> None:
        self.items += count
        self.advances += bool(count)
        if self._error is not None and count and self.advances == self._stop_at:
            raise self._error

    def finish(self, note: str = "") -> None:
        self.finished += 1

    def checkpoint(self) -> None:
        self.checkpoints += 1
        if self._error is not None and self.checkpoints == self._cut_at:
            raise self._error
