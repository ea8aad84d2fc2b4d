"""Where long work shows how far it has come."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Progress(ABC):
    """A display of long work. It shows and does nothing else; steps may be started inside steps."""

    @abstractmethod
    def start(self, step: str, total: int | None) -> None:
        """A step begins.

        Args:
            step: Its name, as people read it.
            total: The number of its items, or None where that is unknown.
        """

    @abstractmethod
    def advance(self, count: int = 1) -> None:
        """``count`` more items of the running step are done."""

    @abstractmethod
    def finish(self, note: str = "") -> None:
        """The running step has ended; ``note`` says in a few words how."""

    @abstractmethod
    def abandon(self) -> None:
        """Forget all running steps: the work was stopped in the middle of them."""
