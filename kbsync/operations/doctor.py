"""Is everything in place? One check after the other, each with what to do where it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from kbsync.bootstrap import App
from kbsync.domain.errors import KbsyncError, StoreError
from kbsync.operations.checks import gate, ledger, machine, model, phrasings, source
from kbsync.operations.checks.doubt import Doubt


class Level(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check."""

    name: str
    level: str
    """`ok`, `warning`, `failed`, or `skipped` because a check that it needs failed."""
    detail: str
    next_step: str
    exit_code: int
    """0 unless it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorView:
    """All checks in order."""

    healthy: bool
    """None failed."""
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    run: Callable[[App], str]
    """Returns what it found, or raises ``Doubt`` or ``KbsyncError``."""
    needs: tuple[str, ...] = ()
    """Names of checks that must not have failed."""


CHECKS: tuple[_Check, ...] = (
    _Check("configuration", machine.configuration),
    _Check("secrets", machine.secrets),
    _Check("state directory", machine.state_directory),
    _Check("disk space", machine.disk_space, needs=("state directory",)),
    _Check("database", ledger.database),
    _Check("clock", ledger.clock, needs=("database",)),
    _Check("lease", ledger.leases, needs=("database",)),
    _Check("source", source.source, needs=("database",)),
    _Check("relations", source.relations, needs=("source",)),
    _Check("phrasings", phrasings.phrasings),
    _Check("model", model.model, needs=("state directory",)),
    _Check("dtype", model.dtype, needs=("model",)),
    _Check("chat", model.chat, needs=("model",)),
    _Check("recipe", model.recipe, needs=("model",)),
    _Check("covariance", model.covariance, needs=("model",)),
    _Check("gate", gate.gate, needs=("database",)),
    _Check("capacity", model.capacity, needs=("database",)),
    _Check("status page", machine.status_page),
)


def examine(app: App) -> Iterator[CheckView]:
    """Run all checks; each is yielded as soon as it is done."""
    failed: set[str] = set()
    for check in CHECKS:
        missing = failed.intersection(check.needs)
        view = _skipped(check.name, missing) if missing else _run(check, app)
        if view.level in (Level.FAILED, Level.SKIPPED):
            failed.add(check.name)
        yield view


def failure(name: str, error: KbsyncError) -> CheckView:
    """A check that failed with ``error``."""
    return _view(name, Level.FAILED, error.what, error.next_step, error.exit_code or 1)


def _skipped(name: str, missing: set[str]) -> CheckView:
    return _view(name, Level.SKIPPED, f"needs: {', '.join(sorted(missing))}")


def _run(check: _Check, app: App) -> CheckView:
    try:
        return _view(check.name, Level.OK, check.run(app))
    except Doubt as doubt:
        return _view(check.name, Level.WARNING, str(doubt), doubt.next_step)
    except KbsyncError as error:
        return failure(check.name, error)
    except OSError as error:
        return failure(check.name, StoreError(f"{error.filename or ''}: {error.strerror or error}."))
    except Exception as error:  # the other checks still tell something
        return failure(check.name, KbsyncError(f"Unexpected {type(error).__name__}: {error}"))


def _view(name: str, level: Level, detail: str, next_step: str = "", exit_code: int = 0) -> CheckView:
    return CheckView(name=name, level=level.value, detail=detail, next_step=next_step, exit_code=exit_code)
