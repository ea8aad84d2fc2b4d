"""Is everything in place? One check after the other, each with what to do where it fails."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from kbsync.domain.errors import ConfigError, KbsyncError, StoreError
from kbsync.domain.gate import Action, Threshold
from kbsync.domain.interval import wilson
from kbsync.domain.plan import crowding
from kbsync.stages.evaluate.foresee import foresee_plan
from kbsync.stages.facts import believed_facts
from kbsync.stages.session import PULLER, WRITER
from kbsync.system.process_identity import is_gone

if TYPE_CHECKING:
    from kbsync.bootstrap import App

GIB = 2**30
SKEW = timedelta(minutes=2)
LAG = timedelta(days=1)
LITTLE_SPACE, TOO_LITTLE_SPACE = 5 * GIB, GIB // 2
SAMPLE = 5
"""Subjects of each relation that the source is asked about."""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check. ``level``: ok, warning, failed or skipped (what it needs failed before); ``exit_code`` is 0 unless
    it failed."""

    name: str
    level: str
    detail: str
    next_step: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorView:
    """All checks in order; ``healthy`` when none failed."""

    healthy: bool
    checks: tuple[CheckView, ...]


class Doubt(Exception):
    """A check that did not fail, and that somebody should know about."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class _Check:
    """``run`` says what it found, or raises ``Doubt`` or ``KbsyncError``; ``needs`` names checks that must not have
    failed."""

    name: str
    run: Callable[[App], str]
    needs: tuple[str, ...] = ()


def examine(app: App) -> Iterator[CheckView]:
    """Run all checks, yielding each as it is done."""
    failed: set[str] = set()
    for check in CHECKS:
        missing = failed.intersection(check.needs)
        view = skipped(check.name, ", ".join(sorted(missing))) if missing else _run(check, app)
        if view.level in (Level.FAILED, Level.SKIPPED):
            failed.add(check.name)
        yield view


def skipped(name: str, because: str) -> CheckView:
    detail = f"needs: {because}"
    return CheckView(name=name, level=Level.SKIPPED.value, detail=detail, next_step="", exit_code=0)


def failure(name: str, error: KbsyncError) -> CheckView:
    code = error.exit_code or 1
    return CheckView(name=name, level=Level.FAILED.value, detail=error.what, next_step=error.next_step, exit_code=code)


def _run(check: _Check, app: App) -> CheckView:
    try:
        detail = check.run(app)
    except Doubt as doubt:
        return CheckView(
            name=check.name, level=Level.WARNING.value, detail=str(doubt), next_step=doubt.next_step, exit_code=0
        )
    except KbsyncError as error:
        return failure(check.name, error)
    except OSError as error:
        return failure(check.name, StoreError(f"{error.filename or ''}: {error.strerror or error}."))
    except Exception as error:  # the other checks still tell something
        return failure(check.name, KbsyncError(f"Unexpected {type(error).__name__}: {error}"))
    return CheckView(name=check.name, level=Level.OK.value, detail=detail, next_step="", exit_code=0)


def _configuration(app: App) -> str:
    """It was loaded, so it is right."""
    return f"{app.configuration.file}: {len(app.relations)} relations, recipe {app.recipe.name}"


def _state_directory(app: App) -> str:
    path = app.settings.state_dir
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"kbsync")
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist.", next_step="Make it: `kbsync init`.") from None
    except OSError as error:
        raise StoreError(
            f"{path} can't be written: {error.strerror}.",
            next_step="Give this user the right to write there, or configure another state_dir.",
        ) from error
    return f"{path} can be written"


def _disk_space(app: App) -> str:
    usage = shutil.disk_usage(app.settings.state_dir)
    detail = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free"
    if usage.free < TOO_LITTLE_SPACE:
        raise StoreError(f"Only {detail}.", next_step="Make room: a version that can't be stored is lost work.")
    if usage.free < LITTLE_SPACE:
        raise Doubt(f"only {detail}", "Make room before the converted model and the covariances are stored.")
    return detail


def _database(app: App) -> str:
    with app.ledger.read() as tx:
        newest = len(tx.versions())
    return f"{app.settings.database} has the right schema; newest version: {newest or 'none'}"


def _leases(app: App) -> str:
    now = app.clock.now()
    with app.ledger.read() as tx:
        held = [lease for name in (WRITER, PULLER) if (lease := tx.held_lease(name)) is not None]
    for lease in held:
        if lease.expires > now and not is_gone(lease.process):
            raise Doubt(str(lease), "Nothing to do if that process lives; after its death the lease runs out.")
    return f"free: {WRITER}, {PULLER}"


def _clock(app: App) -> str:
    """What was written can't be of later than now; the source's time is compared by its own check."""
    now = app.clock.now()
    with app.ledger.read() as tx:
        newest = tx.newest_event()
        events = tx.audit(after=max(0, newest.seq - 1000)) if newest else []
    ahead = max((event.at for event in events), default=now) - now
    if ahead > SKEW:
        raise Doubt(
            f"the ledger's newest event is {_span(ahead)} ahead of this machine's clock, which says {now:%Y-%m-%d %H:%M}",
            "Set this machine's clock (NTP): trust times and leases are counted by it.",
        )
    return f"{now:%Y-%m-%d %H:%M} UTC, not behind what the ledger holds"


def _gate(app: App) -> str:
    """Whether the next version can be measured on as much as the gate demands; known before anything is built."""
    wanted = max(
        (t.min_samples for t in app.settings.gate.policy if t.metric == "specificity" and _refuses(t)), default=0
    )
    if wanted > app.settings.gate.neighbours:
        raise ConfigError(
            [f"gate.neighbours = {app.settings.gate.neighbours}: specificity demands {wanted} samples"],
            next_step=f"Set gate.neighbours to {wanted} at least.",
        )
    with app.ledger.read() as tx:
        newest = tx.newest_plan()
        believed = sum(tx.fact_counts(r.property).believed for r in app.relations)
        found = (
            foresee_plan(
                newest.plan,
                0,
                believed_facts(tx, app.relations, newest.plan.base_fingerprint),
                app.evaluation_size,
                app.settings.gate.policy,
            )
            if newest
            else None
        )
    have = found.samples["specificity"] if found else believed or sum(len(r.subjects) for r in app.relations)
    open_ended = found is None and any(r.subject_pattern for r in app.relations)
    if have < wanted and not open_ended:
        most = f"at most {have}, and only those that the model has right," if found is None else f"only {have}"
        raise Doubt(
            f"specificity demands {wanted} samples (facts that the model has right and that are not edited), and {most} "
            "can be asked: the gate would refuse every version",
            "Watch more facts that the model has right: any relation counts, it need not be edited (`kbsync init` wrote "
            "a library of them). Or set min_samples in gate.toml to what there is; a version that was refused for this is "
            f"judged anew then. Know what you give up: {_worth(have)}.",
        )
    told = f"{have} facts for specificity, {wanted} are demanded"
    return (
        told
        if found
        else f"{'no fixed number of' if open_ended else have} facts are watched, {wanted} samples are demanded"
    )


def _refuses(threshold: Threshold) -> bool:
    return threshold.action is Action.REFUSE and not threshold.optional


def _worth(samples: int) -> str:
    """What is known of all other facts when none of so many was lost."""
    low, _ = wilson(samples, samples) if samples else (0.0, 1.0)
    return f"when all of {samples} stay right, that only says that more than {low:.0%} of all others do (95 %)"


def _status_page(app: App) -> str:
    web = app.settings.web
    missing = [name for name in ("starlette", "uvicorn", "jinja2") if importlib.util.find_spec(name) is None]
    if missing and web.enabled:
        raise ConfigError([f"web: the status page needs {', '.join(missing)}"], next_step="pip install 'kbsync[web]'")
    if not web.enabled:
        return "not served by the daemon (web.enabled)"
    return (
        f"the daemon serves it on {web.host} port {web.port}, actions {'need the token' if web.secret else 'are off'}"
    )


def _source(app: App) -> str:
    server, now = app.source.server_time(), app.clock.now()
    place = app.settings.source.endpoint
    with app.ledger.read() as tx:
        mark = tx.watermark(app.source.name)
    if mark is not None and server < mark:
        raise Doubt(
            f"{place} knows Wikidata up to {server:%Y-%m-%d %H:%M}, the ledger already up to {mark:%Y-%m-%d %H:%M}",
            "It was restored or is lagging; pull refuses to go back until it has caught up.",
        )
    if server - now > SKEW:
        raise Doubt(
            f"{place} is {_span(server - now)} ahead of this machine's clock",
            "Set this machine's clock (NTP): trust times and leases are counted by it.",
        )
    if now - server > LAG:
        raise Doubt(
            f"{place} answers, and lags {_span(now - server)} behind", "Fine for a mirror; else use a fresher endpoint."
        )
    return f"{place} answers, lags {_span(now - server)} behind, and accepts {app.settings.source.user_agent!r}"


def _shape(app: App) -> str:
    """Ask what pull asks, for a few subjects of each relation."""
    told, silent = [], []
    for relation in app.relations:
        subjects = app.source.subjects(relation)
        asked = subjects[:SAMPLE]
        alive = [head.id for head in app.source.heads(asked) if not head.deleted]
        pages = app.source.records(alive, [relation.property])
        statements = sum(len(record.statements) for page in pages for record in page)
        told.append(f"{relation.name}: {len(subjects)} subjects")
        if not statements:
            silent.append(f"{relation.name} ({relation.property})")
    if silent:
        raise Doubt(
            f"no statement among the first {SAMPLE} subjects of {', '.join(silent)}",
            "Check the property and the subjects in the relation's file.",
        )
    return "; ".join(told)


def _model(app: App) -> str:
    from kbsync.model.decoder import discover

    decoder = discover(app.loaded.model)
    decoder.edited_layers(app.recipe.layers)
    return (
        f"{app.loaded.reference}: {len(decoder.layers)} layers, width {decoder.hidden_size}, {decoder.dtype}, "
        f"recipe {app.recipe.name} edits {_listed(app.recipe.layers)}; "
        f"fingerprint {app.loaded.fingerprint[:12]}"
    )


def _covariance(app: App) -> str:
    """Whether what the first edit needs is measured: for this model, this recipe, this text."""
    layers = app.recipe.layers
    if app.settings.text.datasets and not (app.settings.state_dir / "texts").is_dir():
        return f"text is to be fetched from the hub; then the first edit measures {len(layers)} layers, which takes minutes"
    statistics = app.statistics(app.recipe, app.corpus)
    missing = sorted(set(layers) - set(statistics.known()))
    if app.recipe.covariance_tokens < statistics.width:
        raise Doubt(
            f"a budget of {app.recipe.covariance_tokens} tokens for {statistics.width} dimensions: an edit has to add a ridge",
            "Raise covariance_tokens in the recipe.",
        )
    if missing:
        return f"not measured yet for layers {_listed(missing)}: the first edit does it, or `kbsync stats build`"
    return f"measured for layers {_listed(layers)}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _capacity(app: App) -> str:
    """The newest plan holds what a next version would; the recipe says how much was measured to hold."""
    capacity = app.recipe.capacity
    if not capacity:
        return f"recipe {app.recipe.name} was not measured for it (`kbsync bench capacity`)"
    with app.ledger.read() as tx:
        newest = tx.newest_plan()
    facts = len(newest.plan.requests) if newest else 0
    if warning := crowding(facts, capacity):
        raise Doubt(
            warning,
            "Watch fewer facts (`relations/`, `edit.max_facts`), or use a recipe or a model with more room.",
        )
    return f"{facts} facts in the newest plan, recipe {app.recipe.name} was measured to hold {capacity}"


def _span(delta: timedelta) -> str:
    return str(timedelta(seconds=round(delta.total_seconds())))


CHECKS: tuple[_Check, ...] = (
    _Check("configuration", _configuration),
    _Check("state directory", _state_directory),
    _Check("disk space", _disk_space, needs=("state directory",)),
    _Check("database", _database),
    _Check("clock", _clock, needs=("database",)),
    _Check("lease", _leases, needs=("database",)),
    _Check("source", _source, needs=("database",)),
    _Check("relations", _shape, needs=("source",)),
    _Check("model", _model, needs=("state directory",)),
    _Check("covariance", _covariance, needs=("model",)),
    _Check("gate", _gate, needs=("database",)),
    _Check("capacity", _capacity, needs=("database",)),
    _Check("status page", _status_page),
)
