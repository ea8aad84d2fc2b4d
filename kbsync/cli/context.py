"""From the options before the verb to a working application."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from kbsync.cli.command import options

if TYPE_CHECKING:
    from kbsync.bootstrap import App
    from kbsync.config import Configuration


def configuration(context: typer.Context, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """Load the configuration, with ``overrides`` in place of its values, and set up logs. Raises ``ConfigError``."""
    from kbsync.config import load_all
    from kbsync.system import log

    given = options(context)
    loaded = load_all(given.config, overrides)
    log.set_up(loaded.settings.log.format, "error" if given.quiet else loaded.settings.log.level)
    for warning in loaded.warnings:
        log.logger().warning(warning)
    return loaded


@contextmanager
def application(
    context: typer.Context, overrides: Mapping[str, Any] | None = None, *, dry_run: bool = False
) -> Iterator[App]:
    """The application for one command, closed at the end. SIGTERM and SIGINT stop it where stopping is safe.

    Args:
        context: The command's.
        overrides: Values in place of the configured ones, nested like the configuration file.
        dry_run: Work on a private copy of the ledger, which is thrown away at the end.
    """
    current = configuration(context, overrides)

    from kbsync.bootstrap import App
    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals

    with on_signals(StopRequest()) as stop:
        app = App(current, actor=actor(), work=work_for(stop, options(context)), rehearsing=dry_run)
        try:
            yield app
        finally:
            app.close()
            if dry_run and not options(context).quiet:
                typer.echo("Dry run: nothing was changed.", err=True)


def actor() -> str:
    """Who asks, for the audit trail: ``cli:alice``."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:uid {os.getuid()}"
