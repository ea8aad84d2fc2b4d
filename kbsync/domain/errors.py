"""Errors that a user may see: each says what happened, what was kept, and what to do next (house rule 7).

The exit code is part of the command line's contract. The numbers follow BSD's ``sysexits.h`` where one fits.
"""

from __future__ import annotations


class KbsyncError(Exception):
    """Base of all errors that a user may see."""

    exit_code = 1
    """What a command that ends with this error exits with."""
    transient = False
    """Whether the same call may succeed later without anyone acting."""

    def __init__(self, what: str, *, kept: str = "Nothing was changed.", next_step: str = "") -> None:
        """Each argument is one sentence or several.

        Args:
            kept: What is still as it was.
            next_step: What to do now; empty where there is nothing to do.
        """
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.kept, self.next_step) if part)


class ConfigError(KbsyncError):
    """The configuration is wrong; ``problems`` lists every mistake with its place."""

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
    """A text is not a Wikidata identifier of the demanded kind."""

    exit_code = 65


class DataError(KbsyncError):
    """Input (a statement, a file, a benchmark record) is not what it must be."""

    exit_code = 65


class NotFound(KbsyncError):
    """The ledger or the store does not hold the named thing (version, fact, plan)."""

    exit_code = 66


class SourceError(KbsyncError):
    """The statement source refused, or its answer is wrong; the same question will fail again."""

    exit_code = 76


class SourceDown(SourceError):
    """The statement source can't be reached, is overloaded, blocks us for now, or is behind the ledger."""

    exit_code = 69
    transient = True


class ServerError(KbsyncError):
    """A server that serves versions refused, or its answer is none; the same request will fail again."""

    exit_code = 76


class ServerDown(ServerError):
    """A server that serves versions can't be reached, does not answer in time, or is overloaded."""

    exit_code = 69
    transient = True


class WorkersRefused(KbsyncError):
    """Workers can't do what they are asked: they have another base, another version, or end in the midst of it."""

    exit_code = 76


class WorkersDown(KbsyncError):
    """The cluster of the workers can't be reached, or was lost while it worked."""

    exit_code = 69
    transient = True


class ModelError(KbsyncError):
    """A model can't be loaded, or kbsync can't edit models of its shape."""

    exit_code = 65


class EditError(KbsyncError):
    """An edit can't be computed soundly (numbers are not finite, the covariance is another model's, …)."""

    exit_code = 70


class WrongWeights(KbsyncError):
    """A model was asked while other weights than its own were in place.

    This is a fault of the program, not of the model, so no stage may treat it as a refusal.
    """

    exit_code = 70


class StoreError(KbsyncError):
    """The state directory or the checkpoint store can't be read or written, or holds a wrong byte."""

    exit_code = 74


class LedgerDown(StoreError):
    """The ledger's database server can't be reached, restarts, or has ended the connection."""

    transient = True


class SchemaError(KbsyncError):
    """The ledger has another schema than the one that this kbsync works with."""

    exit_code = 78


class GateRefused(KbsyncError):
    """A version did not pass the gate, as it was measured or as it is served; ``current`` did not move."""

    exit_code = 3


class Damaged(KbsyncError):
    """Stored bytes or audit events have changed since they were written; the message names each."""

    exit_code = 4


class NotReproduced(KbsyncError):
    """A version was built again, and another one came out."""

    exit_code = 5


class Busy(KbsyncError):
    """Another process holds the lease."""

    exit_code = 75
    transient = True


class NotifierFailed(KbsyncError):
    """A command or a webhook did not take an announcement; it will be told again."""

    exit_code = 75
    transient = True


class LeaseLost(KbsyncError):
    """The lease has run out and another process has taken it, so the fencing token is stale."""

    exit_code = 75
    transient = True


class Stopped(KbsyncError):
    """A stop was asked for (SIGTERM, SIGINT), and the stage has ended cleanly."""

    exit_code = 0
    transient = True
