"""Logs: one line for each event, on stderr, for people (``console``) or for machines (``json``)."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.types import EventDict, Processor

from kbsync.system.hidden import hidden
from kbsync.system.printable import printable

LIBRARIES = (
    "apscheduler",
    "gguf",
    "httpcore2",
    "httpx2",
    "urllib3",
    "transformers",
    "torch",
    "sqlalchemy",
    "alembic",
    "rdflib",
    "SPARQLWrapper",
)
"""Libraries that log much: only their warnings and errors are shown."""


def set_up(format: str, level: str, stream: TextIO | None = None) -> None:
    """Set up the logs of kbsync and of its libraries; a later call replaces an earlier one.

    Args:
        format: ``console`` or ``json``.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        stream: Where the lines go; None for stderr.
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
        _Hiding(
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
    """The program's logger."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("kbsync")
    return bound


class _Hiding(structlog.stdlib.ProcessorFormatter):
    """Masks in every line what must not be told, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return hidden(super().format(record))


def _renderers(format: str, stream: TextIO) -> list[Processor]:
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
    return [structlog.processors.format_exc_info, _escaped, console]


def _escaped(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape what could control a terminal; a traceback keeps its line ends."""
    return {
        k: printable(v, keep="\n" if k == "exception" else "") if isinstance(v, str) else v for k, v in event.items()
    }
