"""Logs: one event a line on stderr, for people (``console``) or for machines (``json``)."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.types import EventDict, Processor

from kbsync.system.printable import printable

LIBRARIES = ("apscheduler", "urllib3", "transformers", "torch", "sqlalchemy", "alembic", "rdflib", "SPARQLWrapper")
"""Chatty libraries: their warnings are heard, the rest is not."""


def set_up(format: str, level: str, stream: TextIO | None = None) -> None:
    """Send the logs of kbsync and of its libraries to ``stream`` (stderr) as ``console`` or ``json`` lines.

    ``level``: debug, info, warning or error. May be called again; the last call holds.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(format, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(number, logging.WARNING))


def logger() -> structlog.stdlib.BoundLogger:
    """The program's logger, without work at import time."""
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("kbsync")
    return found


def _renderers(format: str, stream: TextIO) -> list[Processor]:
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
    return [structlog.processors.format_exc_info, _escaped, console]


def _escaped(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape what could steer a terminal; a traceback keeps its lines."""
    return {
        k: printable(v, keep="\n" if k == "exception" else "") if isinstance(v, str) else v for k, v in event.items()
    }
