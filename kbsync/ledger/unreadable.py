"""Rows that can't even be read: whoever has all rights in the database can write what no driver or parser takes."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.exc import DataError as DatabaseDataError
from sqlalchemy.exc import DBAPIError

from kbsync.domain.errors import Damaged
from kbsync.system.messages import first_line

_ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What reading raises where a row is nothing that kbsync writes."""


def is_unreadable(error: DBAPIError) -> bool:
    """Whether the driver can't take what a row holds: text that is no UTF-8, a time beyond all calendars."""
    return isinstance(error, DatabaseDataError) or "decode to UTF-8" in str(error.orig)


def why(what: str, error: DBAPIError) -> str:
    """The sentence for what is unreadable, without its full stop."""
    return f"{what} can't be read: {first_line(Exception(error.orig)).removesuffix('.')}"


def told(what: str, check: Callable[[], list[str]]) -> list[str]:
    """What a check finds; that it can't be read to its end is a finding, and the checks after it are made all the same.

    Args:
        what: What is checked, as the beginning of a sentence.
    """
    try:
        return check()
    except Damaged as error:
        return [error.what.removesuffix(".")]
    except DBAPIError as error:
        if not is_unreadable(error):
            raise
        return [why(what, error)]
    except _ODD as error:
        return [f"{what} can't be read: {first_line(error).removesuffix('.')}"]
