"""Checks of this machine: configuration, state directory, disk, and what the status page needs."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile

from kbsync.bootstrap import App
from kbsync.domain.errors import ConfigError, StoreError
from kbsync.operations.checks.doubt import Doubt

GIB = 2**30
LITTLE_SPACE, TOO_LITTLE_SPACE = 5 * GIB, GIB // 2
"""Free bytes below which the check warns, and below which it fails."""


def configuration(app: App) -> str:
    """The configuration was loaded, so it is right."""
    return f"{app.configuration.file}: {len(app.relations)} relations, recipe {app.settings.edit.recipe}"


def secrets(app: App) -> str:
    """Whether others may read the files that hold secrets."""
    if told := app.configuration.exposed_files():
        raise ConfigError(list(told), next_step="Until then what uses these secrets is refused.")
    if told_of := app.configuration.exposed_main_file():
        raise Doubt(
            f"it holds a password, a token or a secret, and {told_of}",
            "Or move the secrets into files of their own (web.token_file, release.secret_file) or the environment.",
        )
    return "nobody else can read the files that hold any"


def state_directory(app: App) -> str:
    """Whether this user can write into the state directory."""
    path = app.settings.state_dir
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"kbsync")
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist.", next_step="Make it: `kbsync init`.") from None
    except OSError as error:
        raise StoreError(
            f"{path} can't be written: {error.strerror}.",
            next_step="Give this user the right to write there, or configure another state_dir.",
        ) from error
    return f"{path} can be written"


def disk_space(app: App) -> str:
    """Whether there is room for a converted model, the covariances and the next versions."""
    usage = shutil.disk_usage(app.settings.state_dir)
    detail = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free"
    if usage.free < TOO_LITTLE_SPACE:
        raise StoreError(f"Only {detail}.", next_step="Make room: a version that can't be stored is lost work.")
    if usage.free < LITTLE_SPACE:
        raise Doubt(f"only {detail}", "Make room before the converted model and the covariances are stored.")
    return detail


def status_page(app: App) -> str:
    """Whether the packages of the status page are installed, where it is enabled."""
    web = app.settings.web
    missing = [name for name in ("starlette", "uvicorn", "jinja2") if importlib.util.find_spec(name) is None]
    if missing and web.enabled:
        raise ConfigError([f"web: the status page needs {', '.join(missing)}"], next_step="pip install 'kbsync[web]'")
    if not web.enabled:
        return "not served by the daemon (web.enabled)"
    actions = "need the token" if web.secret else "are off"
    return f"the daemon serves it on {web.host} port {web.port}, actions {actions}"
