"""A marker is planted in every setting that may hold a secret, and everything that kbsync then says is searched for it.

The settings are found by walking the models. Each marker is planted where it belongs and in ways in which people get it
wrong; then commands run, the notifiers and the event stream fail, and a child writes its environment down. Searched are
stdout, stderr, tracebacks, logs, what the child saw, and every byte of the ledger.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kbsync.bootstrap.adapters import SystemClock, release_notifiers, statement_source
from kbsync.checkpoints.remote import open_remote
from kbsync.config import Configuration, Settings, load_all
from kbsync.config.secret_settings import Location, secret_files, secret_settings
from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import ConfigError, KbsyncError, NotifierFailed
from kbsync.ports import Notifier
from kbsync.system import log
from kbsync.system.log import logger
from tests.evidence.hardening.parts import Measured
from tests.support.invoke import invoke
from tests.support.sqlite_ledger import empty_ledger
from tests.support.world_app import MAIN, write_configuration

TAKEN = "taken"
"""Stands for a port that another server has, so that ``serve`` ends at once, whoever runs it."""
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("db", "check"),
    ("db", "upgrade"),
    ("pull",),
    ("notify",),
    ("gc", "--dry-run"),
    ("verify",),
    ("backup", "copy.sqlite3"),
    ("audit", "log", "--json"),
    ("serve", "--port", TAKEN),
)
URLS = (
    "http://user:{}@127.0.0.1:9/x",
    "http://{}@127.0.0.1:9/x",
    "http://127.0.0.1:9/x?token={}",
    "http://user:p@{}@127.0.0.1:9/x",
    "http://user:p/{}@127.0.0.1:9/x",
    "http://user:p?{}@127.0.0.1:9/x",
    "ftp://user:{}@127.0.0.1:9/x",
    "user:{}@127.0.0.1",
)
DATABASES = (
    "postgresql+psycopg://kbsync:{}@127.0.0.1:9/db",
    "postgresql+psycopg://kbsync@tenant:{}@127.0.0.1:9/db",
    "postgresql+psycopg://kbsync:pa@{}@127.0.0.1:9/db",
    "postgresql+psycopg://kbsync:pa/{}@127.0.0.1:9/db",
    "postgresql+psycopg://kbsync:{}@127.0.0.1:nine/db",
    "postgresql+psycopg://kbsync@127.0.0.1:9/db?sslmode=disable&sslpassword={}",
    "postgresql+psycopg://kbsync@127.0.0.1:9/db?PASSWORD={}",
    "mysql://kbsync:{}@127.0.0.1/db",
)
WAYS: dict[str, tuple[str, ...]] = {
    "database_url": DATABASES,
    "source.endpoint": URLS,
    "source.scholarly": URLS,
    "source.events": URLS,
    "store.url": (*URLS, "memory://user:{}@x/y", "S3://key:{}@bucket", "nosuch://key:{}@bucket/x"),
    "served.extra": ('{{"api_key": "{}"}}', '{{"api_key": "{}"', '["{}"]', "{}"),
    "store.options": ('{{"secret": "{}"}}', '{{"secret": "{}"', '["{}"]', "{}"),
    "release.webhook": URLS,
    "release.command": ('["/nowhere/program", "--token={}"]', '["/bin/false", "{}"', "{}"),
}
"""How a marker is planted in each setting, as a variable of the environment; elsewhere it is the whole value."""
PLAIN = ("{}", '{{"{}": ')


@dataclass(frozen=True, slots=True)
class Plant:
    """One marker in one place."""

    setting: str
    way: str
    marker: str

    @property
    def value(self) -> str:
        """What the setting is set to."""
        return self.way.format(self.marker)


def measure(seed: int) -> Measured:
    """Plant a marker in every setting in every way, and search what is said."""
    settings = [".".join(location) for location in planted_settings()]
    told: dict[str, list[str]] = {}
    planted = set[str]()
    for plant in plants(settings, seed):
        planted.add(plant.setting)
        if where := leaks(plant, COMMANDS):
            told.setdefault(plant.setting, []).append(f"{plant.way}: {', '.join(where)}")
    return Measured(
        figures={"secrets.planted": len(planted), "secrets.told": len(told)},
        bounds={"secrets.planted": len(settings)},
        details={"settings": settings, "commands": [" ".join(c) for c in COMMANDS], "told": told},
    )


def planted_settings() -> list[Location]:
    """Every setting that may hold a secret, or names a file that does."""
    return [*(location for location, _ in secret_settings(Settings)), *secret_files(Settings)]


def plants(settings: Sequence[str], seed: int) -> Iterator[Plant]:
    """Each setting in each of its ways, with a marker of its own."""
    for number, setting in enumerate(settings):
        for way, text in enumerate(WAYS.get(setting, PLAIN)):
            yield Plant(setting, text, f"hunter2{seed:02d}{number:02d}{way:02d}marker")


def leaks(plant: Plant, commands: Sequence[Sequence[str]]) -> list[str]:
    """Where the marker of ``plant`` is told; empty: nowhere."""
    with tempfile.TemporaryDirectory(prefix="kbsync-secrets-") as name, ExitStack() as stack:
        directory = Path(name)
        config = stack.enter_context(_site(directory, plant))
        said = {" ".join(command): _run(config, command) for command in commands}
        said["debug"] = _run(config, commands[0], KBSYNC_DEBUG="1")
        said["representation, notifiers, stream and store"] = _used(config, directory)
        said["child"] = _text(directory / "state" / "seen")
        said["ledger"] = _text(directory / "state" / "ledger.sqlite3") + _text(
            directory / "state" / "ledger.sqlite3-wal"
        )
    return [where for where, text in said.items() if plant.marker in text]


@contextmanager
def _site(directory: Path, plant: Plant) -> Iterator[Path]:
    """A site with a ledger, and the plant in its environment or in a file that it names; yields its main file."""
    config = write_configuration(directory, MAIN)
    empty_ledger(directory / "state" / "ledger.sqlite3")
    variables = {
        "KBSYNC_RELEASE__COMMAND": json.dumps(["/bin/sh", "-c", "env > seen; env >&2; exit 1"]),
        "KBSYNC_RELEASE__TIMEOUT": "5s",
    }
    value = plant.value
    if plant.setting.endswith("_file"):
        file = directory / "secret"
        file.write_text(value, encoding="utf-8")
        file.chmod(0o600)
        value = str(file)
    if plant.setting.startswith("release.secret"):
        variables["KBSYNC_RELEASE__WEBHOOK"] = "http://127.0.0.1:9/hook"
    if plant.setting == "release.webhook":
        variables["KBSYNC_RELEASE__SECRET"] = "0123456789abcdef"
    variables["KBSYNC_" + plant.setting.replace(".", "__").upper()] = value
    with _environment(variables):
        yield config


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("KBSYNC_")]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(config: Path, command: Sequence[str], **variables: str) -> str:
    """What a command says, and what its traceback would say."""
    before = Path.cwd()
    os.chdir(config.parent)
    try:
        result = invoke(["--config", str(config), *command], catch_exceptions=True, **variables)
    finally:
        os.chdir(before)
    trace = "".join(traceback.format_exception(*result.exc_info)) if result.exc_info else ""
    ended_well = isinstance(result.exception, SystemExit) or result.exception is None
    return f"{result.stdout}{result.stderr}{'' if ended_well else trace}"


def _used(config: Path, directory: Path) -> str:
    """What is said where the configuration is loaded, shown and used, and what the log then holds."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), _own_log():
        log.set_up("console", "debug", said)
        try:
            configuration = load_all(config)
        except ConfigError as error:
            logger().error("configuration refused", problems=list(error.problems))
            return said.getvalue()
        said.write(repr(configuration))
        for use in (_announce, _listen, _store):
            try:
                use(configuration, directory)
            except Exception:
                logger().exception("failed")
    return said.getvalue()


@contextmanager
def _own_log() -> Iterator[None]:
    """Logs are afterwards set up as they were."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _announce(configuration: Configuration, directory: Path) -> None:
    """Tell every notifier of a move; each fails."""
    (directory / "state").mkdir(exist_ok=True)
    move = Announcement(alias="current", move=1, version=1, hash="0" * 64, moved_at=datetime.now(UTC), path="/x")
    for notifier in _notifiers(configuration, directory):
        try:
            notifier.deliver(move)
        except NotifierFailed as error:
            logger().warning("notifier failed", error=error.what)


def _notifiers(configuration: Configuration, directory: Path) -> tuple[Notifier, ...]:
    release = configuration.settings.release
    return release_notifiers(release, directory / "state", SystemClock(), 8, lambda *_: ())


def _listen(configuration: Configuration, _directory: Path) -> None:
    """Ask endpoint and event stream, where nobody answers."""
    with ExitStack() as closing:
        fast = configuration.settings.source.model_copy(update={"attempts": 1})
        source = statement_source(fast, closing)
        for ask in (_server_time, _events):
            try:
                ask(source)
            except KbsyncError as error:
                logger().warning("source down", error=error.what)


def _server_time(source: object) -> None:
    source.server_time()  # type: ignore[attr-defined]


def _events(source: object) -> None:
    for event in source.events(datetime.now(UTC)):  # type: ignore[attr-defined]
        if event is None:
            return


def _store(configuration: Configuration, _directory: Path) -> None:
    """Open the store where it is no directory, and say where it is."""
    settings = configuration.settings.store
    if settings.url:
        storage = open_remote(settings.url, settings.options)
        logger().info("store", where=storage.where("versions"))
        storage.read("nothing")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
