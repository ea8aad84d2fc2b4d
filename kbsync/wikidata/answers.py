"""Reads an endpoint's answer: its rows, or a kind of error. Pure functions of status, headers and body.

A status of 200 does not mean success, because it is sent before the query has ended: Blazegraph and Oxigraph write an
error into the middle of the JSON when the time is over, and gateways answer with pages of their own. So the content
decides. Every answer becomes rows or one of the errors that ``parse`` names.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from kbsync.domain.errors import SourceError
from kbsync.wikidata.responses import Response, TooLarge, Transient, in_short, interruption, no_number, refusal

MEDIA_TYPES = ("application/sparql-results+json", "application/json")

MAX_ROWS = 100_000
"""Largest number of rows in one answer. A page of items has fewer."""
MAX_TERMS = 600_000
"""Largest number of terms in one answer; each takes about 150 bytes of memory."""


class Term(NamedTuple):
    """An RDF term in a result."""

    kind: str
    """``uri``, ``literal`` or ``bnode``."""
    text: str
    """The IRI, the literal's text, or the blank node's label."""
    datatype: str = ""
    """IRI of a literal's datatype; empty where it has none."""
    language: str = ""
    """A literal's language in lower case; empty where it has none."""


Row = dict[str, Term]
"""Name of a variable (without ``?``) → its term; unbound variables are absent."""


def parse(response: Response, endpoint: str, wait: float | None) -> list[Row]:
    """Read the rows of a response.

    Args:
        response: What the endpoint sent.
        endpoint: Its address, for messages.
        wait: What ``retry_after`` says of the response.

    Raises:
        QueryTimeout: The endpoint ended the query.
        TooLarge: The endpoint finds the query too large.
        Transient: Another attempt may succeed.
        SourceError: The endpoint refuses the query.
    """
    if response.status != 200:
        raise refusal(response, endpoint, wait)
    if response.media_type not in MEDIA_TYPES:
        if interrupted := interruption(response.said, response, endpoint):
            raise interrupted
        kind = response.media_type or "an unnamed type"
        raise Transient(
            f"status 200, but {kind} instead of SPARQL results: {response.excerpt!r}.",
            next_step="Check the endpoint's address (the public service's ends in /sparql) and the user agent.",
            final=SourceError,
        )
    _refuse_cut(response, endpoint)
    try:
        text = _decoded(response)
        document = json.loads(text, object_pairs_hook=_Reader(endpoint), parse_int=no_number, parse_float=no_number)
    except json.JSONDecodeError as error:
        # An error message inside the JSON begins where the parser stopped; a label before it may contain "timeout",
        # too.
        rest = error.doc[error.pos :]
        if interrupted := interruption(rest, response, endpoint):
            raise interrupted from error
        where = f"at character {error.pos} of {len(error.doc)}" + (f", before {in_short(rest)!r}" if rest else "")
        raise _damaged(f"cut off or damaged {where}") from error
    except UnicodeDecodeError as error:
        packed = response.headers.get("content-encoding", "")
        how = f", packed as {in_short(packed)!r}" if packed else ""
        raise _damaged(f"not Unicode at byte {error.start}{how}") from error
    except RecursionError as error:
        raise _damaged("nested without an end") from error
    return _rows(document, response, endpoint)


def _decoded(response: Response) -> str:
    """The body as text: JSON is UTF-8, 16 or 32 by its first bytes; else what the header says. Raises
    ``UnicodeDecodeError``."""
    try:
        return response.body.decode(json.detect_encoding(response.body))
    except UnicodeDecodeError:
        with suppress(LookupError, UnicodeError):
            return response.body.decode(response.charset)
        raise


def _refuse_cut(response: Response, endpoint: str) -> None:
    """Raises ``TooLarge`` if a header says that rows are missing.

    Virtuoso sends its limit of rows if it has left some out, and an SQL state if its time was over.
    """
    rows, state = (response.headers.get(name, "") for name in ("x-sparql-maxrows", "x-sql-state"))
    if rows or state:
        why = f"no more than {rows} rows" if rows else f"those that it found in its time (state {state})"
        raise TooLarge(
            f"{endpoint} gave {why}, and the rest is missing.",
            next_step="Ask for less at once, or raise the endpoint's limit.",
        )


def _damaged(how: str) -> Transient:
    return Transient(f"status 200, but the answer is {how}.", next_step="The next pull tries again.")


def _rows(document: Any, response: Response, endpoint: str) -> list[Row]:
    """Check that the document is in the SPARQL 1.1 Query Results JSON Format, and return its rows."""
    try:
        bindings = document["results"]["bindings"]
        if not isinstance(bindings, list):
            raise TypeError("bindings is not a list")
        return [_row(binding) for binding in bindings]
    except (KeyError, TypeError, IndexError) as error:
        interrupted = interruption(response.said, response, endpoint)
        if interrupted and not (isinstance(document, dict) and "results" in document):
            raise interrupted from error
        raise Transient(
            f"status 200, but the JSON holds no SPARQL results: {response.excerpt!r}.",
            next_step="Check the endpoint's address.",
            final=SourceError,
        ) from error


def _row(binding: Any) -> Row:
    """One row. QLever writes null for a row that binds nothing, and others for a variable that is not bound."""
    row = {} if binding is None else binding
    if not isinstance(row, dict) or any(term is not None and type(term) is not Term for term in row.values()):
        raise TypeError("a binding is no row of terms")
    return {name: term for name, term in row.items() if term is not None} if None in row.values() else row


class _Reader:
    """Turns the objects of a JSON document into terms while it is parsed, and counts them. Plain objects would take ten
    times the memory, and could be counted only after all of them were parsed."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._rows = self._terms = 0
        self._known: dict[str, str] = {}

    def __call__(self, pairs: list[tuple[str, Any]]) -> Term | dict[str, Any]:
        found = dict(pairs)
        if (term := self._term(found)) is not None:
            self._terms += 1
            return term if self._terms <= MAX_TERMS else _too_many(self._endpoint, f"{MAX_TERMS} terms")
        self._rows += 1
        return found if self._rows <= MAX_ROWS else _too_many(self._endpoint, f"{MAX_ROWS} rows")

    def _term(self, found: dict[str, Any]) -> Term | None:
        kind, text = _KINDS.get(str(found.get("type"))), found.get("value")
        datatype, language = found.get("datatype") or "", found.get("xml:lang") or found.get("lang") or ""
        if kind is None or not all(isinstance(part, str) for part in (text, datatype, language)):
            return None
        return Term(kind, str(text), self._known.setdefault(datatype, datatype), language.lower())


_KINDS = {"uri": "uri", "literal": "literal", "typed-literal": "literal", "bnode": "bnode"}


def _too_many(endpoint: str, what: str) -> NoReturn:
    raise TooLarge(f"{endpoint} answered with more than {what}.", next_step="Ask for less at once.")
