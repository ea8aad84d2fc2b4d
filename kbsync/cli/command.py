"""What all commands share: help with example and exit codes, and errors that become exit codes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec

import typer

from kbsync.domain.errors import DataError, KbsyncError, StoreError
from kbsync.domain.wellformed import flaw

if TYPE_CHECKING:
    from kbsync.operations.profile import Profile

EXIT_CODES = {
    0: "done, done already, or nothing to do; also after a stop by SIGTERM or SIGINT",
    1: "unexpected error: a bug in kbsync",
    2: "wrong usage: an unknown command, option or argument",
    3: "the gate refused the version; current did not move",
    4: "verification found damage; every bad file or event is named",
    5: "the version that was built again is not the stored one",
    65: "bad data: an identifier, a file, or a model that kbsync can't work with",
    66: "a version, plan or fact that does not exist",
    69: "a source, a server or workers can't be reached, or are overloaded; trying later may help",
    70: "the edit can't be computed soundly",
    74: "the state directory, the ledger or a stored version can't be read or written, or is damaged",
    75: "another process holds the lease or the database; trying later may help",
    76: "a source, a server or a worker refused what it was asked, or answered wrongly",
    78: "the configuration or the ledger's schema is wrong",
    130: "interrupted by a second Ctrl-C",
}
"""The contract (house rule 10); the numbers from 64 on are BSD's ``sysexits.h``."""

_ALWAYS = (0, 1, 2, 78)
_INTERRUPTED = 130

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Options:
    """The options before the verb; ``debug`` (KBSYNC_DEBUG) gives tracebacks instead of messages; ``profile`` keeps the
    books of where the time goes, if that was asked for."""

    config: Path | None = None
    quiet: bool = False
    debug: bool = False
    profile: Profile | None = None


def options(context: Any) -> Options:
    """The root command's options."""
    given: Options | None = context.find_object(Options)
    return given or Options()


@dataclass(frozen=True, slots=True)
class Verb:
    """One command. ``name`` is its path (``pull``, ``audit log``); ``prints`` names the type behind ``--json``
    (``module:Name``), and ``foretells`` the one behind ``--json --dry-run`` where that is another; ``changes`` says
    what it changes (empty: nothing)."""

    name: str
    function: Callable[..., None]
    examples: tuple[str, ...]
    exits: tuple[int, ...]
    prints: str
    changes: str
    foretells: str = ""

    @property
    def summary(self) -> str:
        """The docstring's first sentence."""
        return " ".join((self.function.__doc__ or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".") + "."

    @property
    def help(self) -> str:
        """The function's docstring, the examples, the exit codes; a paragraph after ``\\b`` keeps its lines."""
        paragraphs = [" ".join(p.split()) for p in (self.function.__doc__ or "").split("\n\n")]
        many = "Examples:" if len(self.examples) > 1 else "Example:"
        shown = "\n".join(f"  {line}" for line in self.examples)
        codes = "\n".join(f"  {code:>2}  {EXIT_CODES[code]}" for code in self.exits)
        return "\n\n".join([*paragraphs, f"\b\n{many}\n{shown}", f"\b\nExit codes:\n{codes}"])


def verb(
    name: str, *, examples: Sequence[str], exits: Sequence[int] = (), prints: str, changes: str, foretells: str = ""
) -> Callable[[Callable[P, None]], Verb]:
    """Make a function a command. ``exits``: codes beside those that every command has.

    Every command takes ``--json``. Every command that changes something takes ``--dry-run``, but for the measurements
    of ``kbsync bench``, which write one file and nothing else. A test holds all commands to it.

    The function's first parameter is ``context: typer.Context``.
    """

    def make(function: Callable[P, None]) -> Verb:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                _require_text(*args, *kwargs.values())
                function(*args, **kwargs)
            except KeyboardInterrupt:
                typer.echo("Interrupted. Every finished step is kept; the same command goes on from there.", err=True)
                raise typer.Exit(_INTERRUPTED) from None
            except Exception as error:
                _give_up(error, debug=options(kwargs["context"]).debug)
            finally:
                _show(options(kwargs["context"]).profile)

        return Verb(name, guarded, tuple(examples), tuple(sorted({*_ALWAYS, *exits})), prints, changes, foretells)

    return make


def _require_text(*arguments: object) -> None:
    """Raises ``DataError`` for an argument that holds bytes which are no text in the terminal's encoding."""
    for argument in arguments:
        if isinstance(argument, str) and (what := flaw(argument)):
            raise DataError(f"The argument {argument!r} holds {what}.", next_step="Write it in UTF-8.")


def _show(profile: Profile | None) -> None:
    """The table of ``--profile`` on stderr; nothing where no step could run."""
    if profile is None or not profile.end():
        return
    from kbsync.operations.flop_counter import machine_speed
    from kbsync.operations.profile import table

    typer.echo(table(profile, machine_speed()), err=True)


def _give_up(error: Exception, *, debug: bool) -> NoReturn:
    """Say what happened, what was kept and what to do next, and leave with the error's exit code."""
    if isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or _is_usage(error):
        raise error
    if debug:
        raise error
    if isinstance(error, OSError):
        error = _os_error(error)
    if isinstance(error, KbsyncError):
        print_error(error)
        raise typer.Exit(error.exit_code)
    unexpected = KbsyncError(
        f"Unexpected {type(error).__name__}: {error}",
        kept="Every finished step is kept.",
        next_step="This is a bug: run again with KBSYNC_DEBUG=1 and report the traceback.",
    )
    print_error(unexpected)
    raise typer.Exit(unexpected.exit_code)


def _is_usage(error: Exception) -> bool:
    """Errors that the argument parser shows by itself."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _os_error(error: OSError) -> StoreError:
    where = f"{error.filename}: " if error.filename else ""
    return StoreError(
        f"{where}{error.strerror or error}.",
        kept="Every finished step is kept.",
        next_step="Check the path, its permissions and the space on the disk; `kbsync doctor` examines them.",
    )


def print_error(error: KbsyncError) -> None:
    """What, kept, next: on stderr, without markup, with control characters escaped."""
    from kbsync.system.hidden import hidden
    from kbsync.system.printable import printable

    for part in (error.what, error.kept, error.next_step):
        if part:
            typer.echo(printable(hidden(part.rstrip()), keep="\n"), err=True)
