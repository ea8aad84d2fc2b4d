"""RDF terms of a result become identifiers, numbers and times. Raises ``DataError`` for what Wikidata can't hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from kbsync.domain.errors import BadIdentifier, DataError
from kbsync.domain.statement import ItemId, item_id
from kbsync.wikidata.answers import Term
from kbsync.wikidata.queries import ENTITY

_TIME = re.compile(r"([+-]?)([0-9]{4,16}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.0+)?(?:Z|[+-]00:00)?\Z")


def local_name(term: Term, namespace: str = ENTITY) -> str:
    """What follows ``namespace`` in an IRI. Raises ``DataError`` for another namespace."""
    if not term.text.startswith(namespace):
        raise DataError(f"{term.text!r} is not in {namespace}.")
    return term.text.removeprefix(namespace)


def item_of(term: Term) -> ItemId | None:
    """The item that a term names; None where it names something else."""
    if term.kind != "uri" or not term.text.startswith(ENTITY):
        return None
    try:
        return item_id(term.text.removeprefix(ENTITY))
    except BadIdentifier:
        return None


def is_unknown(term: Term) -> bool:
    """Whether a term stands for an unknown value: a blank node, or an IRI in its place."""
    return term.kind == "bnode" or (term.kind == "uri" and "/.well-known/genid/" in term.text)


def integer(term: Term) -> int:
    """A whole number. Raises ``DataError``."""
    try:
        return int(term.text)
    except ValueError:
        raise DataError(f"{term.text!r} is not a whole number.") from None


def moment(term: Term) -> datetime:
    """A date of an edit, in UTC where it says no zone. Raises ``DataError``."""
    try:
        at = datetime.fromisoformat(term.text)
    except ValueError:
        raise DataError(f"{term.text!r} is not a date and time.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def iso_time(text: str) -> str | None:
    """A time of history as ``1969-07-20T00:00:00Z``, of any year and without a plus sign; None where it is none."""
    time = _TIME.match(text)
    return f"{'-' if time[1] == '-' else ''}{time[2]}Z" if time else None


def canonical_number(text: str) -> str:
    """A decimal number with its sign and without needless zeros.

    ``8848.860`` and ``+8848.86`` are one value, and engines differ in which of them they write.
    """
    plain = format(Decimal(text), "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    if plain in ("-0", "0"):
        return "+0"
    return plain if plain.startswith("-") else f"+{plain}"
