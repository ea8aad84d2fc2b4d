"""Every error says what happened, what was kept, and what to do next (house rule 7).

The exit code is part of the command line's contract; the numbers follow BSD ``sysexits.h`` where one fits.
"""

from __future__ import annotations


class KbsyncError(Exception):
    """Base of all errors that a user may see.

    ``transient`` tells a scheduler whether the same call may succeed later without anyone acting.
    """

    exit_code = 1
    transient = False

    def __init__(self, what: str, *, kept: str = "Nothing was changed.", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.kept, self.next_step) if part)


class ConfigError(KbsyncError):
    """The configuration is wrong; ``problems`` lists every mistake, each with its place."""

    exit_code = 78

    def __init__(
        self, problems: list[str] | tuple[str, ...], *, next_step: str = "Correct them and run again."
    ) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "The configuration has one mistake:" if count == 1 else f"The configuration has {count} mistakes:"
        what = "\n".join([head, *(f"  - {p}" for p in self.problems), ""])
        super().__init__(what, next_step=next_step)


class BadIdentifier(KbsyncError, ValueError):
    """Text that is not a Wikidata identifier of the demanded kind."""

    exit_code = 65


class DataError(KbsyncError):
    """Input data (a statement, a file, a benchmark record) that cannot be read rightly."""

    exit_code = 65


class NotFound(KbsyncError):
    """A named thing (version, fact, plan) that the ledger or store does not hold."""

    exit_code = 66


class SourceError(KbsyncError):
    """The statement source refused or answered wrongly; the same question will fail again."""

    exit_code = 76


class SourceDown(SourceError):
    """The statement source can't be reached, is overloaded, banned us for now, or is behind the ledger."""

    exit_code = 69
    transient = True


class ModelError(KbsyncError):
    """A model that can't be loaded, or whose shape kbsync must not edit."""

    exit_code = 65


class EditError(KbsyncError):
    """An edit that can't be computed rightly (non-finite numbers, a covariance of another model, ...)."""

    exit_code = 70


class WrongWeights(KbsyncError):
    """A model was asked while other weights than its own were in place: a fault of the program, never of the model, so no
    stage may take it for a refusal."""

    exit_code = 70


class StoreError(KbsyncError):
    """The state directory or the checkpoint store can't be read or written, or a byte of it is wrong."""

    exit_code = 74


class LedgerDown(StoreError):
    """The ledger's database server can't be reached, restarts, or ended the connection."""

    transient = True


class SchemaError(KbsyncError):
    """The ledger's schema is not the one that this kbsync works with."""

    exit_code = 78


class GateRefused(KbsyncError):
    """The candidate did not pass the gate; ``current`` did not move."""

    exit_code = 3


class Damaged(KbsyncError):
    """Stored bytes or events are not what they were when they were written; every one is named."""

    exit_code = 4


class NotReproduced(KbsyncError):
    """A version that was built again came out as another one."""

    exit_code = 5


class Busy(KbsyncError):
    """Another process holds the lease."""

    exit_code = 75
    transient = True


class NotifierFailed(KbsyncError):
    """A command or a webhook did not take what it was told; it is told again."""

    exit_code = 75
    transient = True


class LeaseLost(KbsyncError):
    """The fencing token is stale: the lease ran out and somebody else took it."""

    exit_code = 75
    transient = True


class Stopped(KbsyncError):
    """A stop was asked for (SIGTERM, SIGINT); the stage was abandoned cleanly."""

    exit_code = 0
    transient = True
