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
    """Load the configuration, ``overrides`` over it, and set the logs up as it says; raises ``ConfigError``."""
    from kbsync.config import load_all
    from kbsync.system import log

    asked = options(context)
    found = load_all(asked.config, overrides)
    log.set_up(found.settings.log.format, "error" if asked.quiet else found.settings.log.level)
    for warning in found.warnings:
        log.logger().warning(warning)
    return found


@contextmanager
def application(
    context: typer.Context, overrides: Mapping[str, Any] | None = None, *, dry_run: bool = False
) -> Iterator[App]:
    """The application for one command: SIGTERM and SIGINT stop it where stopping is safe; closed at the end.

    ``overrides`` is nested like the configuration file. A ``dry_run`` works on a private copy of the ledger, which is
    thrown away at the end.
    """
    found = configuration(context, overrides)

    from kbsync.bootstrap import App
    from kbsync.cli.progress import work_for
    from kbsync.system.stop_request import StopRequest, on_signals

    with on_signals(StopRequest()) as stop:
        app = App(found, actor=actor(), work=work_for(stop, options(context)), rehearsing=dry_run)
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
